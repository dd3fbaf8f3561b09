"""Captum's methods on SmolLM2, whose items are titles of several tokens."""

from __future__ import annotations

import numpy as np
import pytest
from captum_reference import captums, ours

from auditkit.errors import AuditkitError
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.recommenders.adapters.smollm2 import get_smollm2
from auditkit.types import Item, Request

TITLES = ("Heat (1995)", "Toy Story (1995)", "Alien (1979)", "Titanic (1997)")


@pytest.fixture(scope="module")
def smollm2():
    try:
        return load_folder(get_smollm2())
    except AuditkitError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("FeatureAblation", {}), ("ShapleyValueSampling", {"n_samples": 2}),
     ("KernelShap", {"n_samples": 8})],
)  # fmt: skip
def test_values_equal_those_of_captum_within_a_thousandth(name, options, smollm2, tmp_path):
    history = tuple(Item(str(i), title) for i, title in enumerate(TITLES))
    request, item = Request(user_id="1", history=history, k=3), Item("9", "Star Wars (1977)")
    expected = captums(name, smollm2, request, item, seed=3, forward_in_tokens=False, **options)
    found = ours(name, smollm2, request, item, tmp_path, seed=3, **options)
    assert np.abs(expected).max() > 0.01
    # The penalty of KernelShap's ends, 1e6, amplifies rounding of single values.
    assert np.abs(found - expected).max() <= 1e-3
