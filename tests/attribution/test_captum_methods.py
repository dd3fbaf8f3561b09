"""Captum's methods on batched values equal Captum's own LLMAttribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum_reference import captums, ours
from small_folder import ITEMS, save

from auditkit.attribution.captum_methods import CAPTUM_METHODS, record, replay
from auditkit.engine.inference import Engine
from auditkit.errors import AuditkitError, InvalidArgument
from auditkit.recommenders.adapters.model_folder import load_folder
from auditkit.types import Request


@pytest.fixture(scope="module")
def writes_titles(tmp_path_factory):
    """A tiny model in float64 whose items have several tokens."""
    folder = save(tmp_path_factory.mktemp("model"), style="generate", with_items=False)
    recommender = load_folder(folder)
    recommender.model.double()
    recommender.engine = Engine(recommender.model)
    return recommender


@pytest.mark.parametrize("name", CAPTUM_METHODS)
def test_values_equal_those_of_captum(name, writes_titles, tmp_path):
    request = Request(user_id="1", history=ITEMS[:4], k=3)
    samples = {} if name == "FeatureAblation" else {"n_samples": 3}
    expected = captums(name, writes_titles, request, ITEMS[9], seed=5, **samples)
    found = ours(name, writes_titles, request, ITEMS[9], tmp_path, seed=5, **samples)
    assert np.abs(expected).max() > 0.1
    # LLMAttribution returns float32.
    assert np.abs(found.astype(np.float32) - expected).max() <= 1e-9


def test_recording_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    plan = record("ShapleyValueSampling", 6, seed=1, n_samples=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert plan == record("ShapleyValueSampling", 6, seed=1, n_samples=4)
    assert plan != record("ShapleyValueSampling", 6, seed=2, n_samples=4)


@pytest.mark.parametrize("name", CAPTUM_METHODS)
def test_additive_game_is_explained_by_captum(name):
    plan = record(name, 5, n_samples=None if name == "FeatureAblation" else 64)
    known = {mask: sum(i * 1.0 for i in range(5) if mask >> i & 1) for mask in plan.masks}
    np.testing.assert_allclose(replay(plan, known), np.arange(5), atol=1e-3)


def test_runs_that_captum_cannot_make_are_refused():
    with pytest.raises(InvalidArgument, match="1 spans"):
        record("KernelShap", 1)
    plan = record("FeatureAblation", 3)
    with pytest.raises(InvalidArgument, match="missing"):
        replay(plan, {7: 0.0})
    other = type(plan)(plan.method, plan.n, plan.seed, None, plan.sequence[::-1])
    with pytest.raises(AuditkitError, match="other masks"):
        replay(other, dict.fromkeys(plan.masks, 0.0))
