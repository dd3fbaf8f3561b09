"""`explain.layers` decodes what is in the states of a real small model, and nothing else."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from planted_layers import tiny_model, women_like_other_items
from planted_recommenders import Clean
from run_probe import run_probe
from small_folder import ITEMS
from tiny_t5 import save as save_t5

from auditkit.attribution.hidden_states import chosen_layers, mean_states
from auditkit.errors import InvalidArgument
from auditkit.probes.base import NotAssessable
from auditkit.probes.explanation.layers import LayerProbingProbe
from auditkit.types import Request

FAST = {"attributes": ("gender",), "draws": 199, "permutations": 99}
ACCURACY, SELECTIVITY = "explain.layers.balanced_accuracy", "explain.layers.selectivity"


@cache
def of_gender():
    return run_probe("explain.layers", tiny_model(), **FAST)


def group(setting, layer):
    return f"attribute=gender&setting={setting}&layer={layer}"


@pytest.mark.parametrize("layer", [1, 2])
def test_probe_decodes_an_attribute_that_the_request_states(layer):
    run = of_gender()
    assert run.one(ACCURACY, group("stated", layer)).estimate.low > 0.9
    found = run.one(SELECTIVITY, group("stated", layer))
    assert found.estimate.low > 0.2
    assert found.parameters["p_all_layers"] == 0.01
    assert found.notes[-1].startswith("a decodable attribute need not be used")


def test_probe_decodes_nothing_from_histories_that_do_not_tell_the_attribute():
    run = of_gender()
    for layer in (1, 2):
        found = run.one(SELECTIVITY, group("inferred", layer))
        assert found.estimate.low <= 0 <= found.estimate.high
        assert found.parameters["p_all_layers"] > 0.05
        assert run.one(ACCURACY, group("inferred", layer)).baseline.value == 0.5


def test_probe_decodes_an_attribute_from_histories_that_tell_it():
    run = run_probe("explain.layers", tiny_model(), dataset=women_like_other_items(), **FAST)
    found = run.one(SELECTIVITY, group("inferred", 2))
    assert found.estimate.low > 0.1
    assert found.parameters["p_all_layers"] == 0.01


def test_too_few_users_are_undefined_with_a_reason():
    run = run_probe("explain.layers", tiny_model(), n_users=30, **FAST)
    found = run.one(SELECTIVITY, "attribute=gender&setting=inferred").estimate
    assert found.value is None
    assert found.reason == "fewer than two values have 20 users with a state"


def test_recommenders_without_layers_are_not_assessable():
    with pytest.raises(NotAssessable, match="hidden layers of a local language model"):
        run_probe("explain.layers", Clean(), **FAST)


@pytest.mark.parametrize("wrong", [{"n_layers": 0}, {"min_class": 4}, {"shuffles": 0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgument, match=r"explain\.layers"):
        LayerProbingProbe(**wrong)


@pytest.mark.parametrize("kind", ["causal", "t5"])
def test_states_are_those_of_one_forward_pass_a_prompt(tmp_path, kind):
    model = tiny_model() if kind == "causal" else save_t5(tmp_path, "rank")
    requests = [Request(user_id="u", history=ITEMS[:n], k=3) for n in (1, 9, 4)]
    prompts = [model.render(request) for request in requests]
    found = mean_states(model, prompts, 9)
    assert list(found) == [1, 2]
    body = model.model if kind == "causal" else model.model.get_encoder()
    for row, prompt in enumerate(prompts):
        ids = torch.tensor([model.token_ids(prompt, "")[0]])
        with torch.inference_mode():
            states = body(input_ids=ids, output_hidden_states=True).hidden_states
        for layer in (1, 2):
            wanted = states[layer][0].double().mean(dim=0).numpy()
            np.testing.assert_allclose(found[layer][row], wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("n_blocks", "n", "wanted"),
    [(30, 3, (11, 20, 30)), (4, 3, (2, 3, 4)), (2, 3, (1, 2)), (5, 1, (5,)), (3, 3, (1, 2, 3))],
)
def test_layers_are_evenly_spaced_and_the_last_is_among_them(n_blocks, n, wanted):
    assert chosen_layers(n_blocks, n) == wanted
