from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from planted_lists import EmbedsGender, ListsByGender
from planted_recommenders import Clean
from run_probe import run_probe
from small_world import world

from auditkit.catalog.dataset import Dataset
from auditkit.errors import InvalidArgument
from auditkit.probes.fairness.attribute_leakage import AttributeLeakageProbe, _joint_quantiles
from auditkit.stats.bounds import quantile_levels

METRIC = "fairness.leak.attack_auc"


def test_lists_are_attacked_per_attribute_and_representations_where_there_are_any():
    groups = {f.group for f in run_probe("fairness.leak", Clean(), draws=9).findings}
    assert groups == {f"attribute={name}&input=list" for name in ("gender", "age", "occupation")}
    run = run_probe("fairness.leak", EmbedsGender(), attributes=("gender",), draws=9)
    assert [f.group for f in run.findings] == [
        "attribute=gender&input=list",
        "attribute=gender&input=representation",
    ]


def test_both_attackers_stand_beside_the_stronger():
    found = run_probe("fairness.leak", ListsByGender(), attributes=("gender",), draws=9).findings[0]
    both = [found.parameters[f"auc_{name}"] for name in ("logistic", "mlp")]
    assert (
        found.estimate.value == max(both) == found.parameters[f"auc_{found.parameters['attacker']}"]
    )
    assert found.parameters["values"] == ["female", "male"]


def test_values_of_few_users_are_left_out_and_named():
    run = run_probe("fairness.leak", Clean(), attributes=("age",), min_class=27, draws=9)
    found = run.findings[0]
    assert found.parameters["values"] == ["25 to 39", "under 25"]
    assert found.notes[0] == "values with fewer than 27 users are omitted: 40 and over (26)"
    assert (found.estimate.n, found.estimate.n_missing) == (54, 26)


def test_what_histories_give_away_stands_beside_the_lists_as_a_yardstick():
    run = run_probe("fairness.leak", ListsByGender(), attributes=("gender",), draws=99)
    (found,) = run.findings
    yardstick = found.baseline
    assert yardstick.low <= 0.5 <= yardstick.high  # histories of the small world tell nothing
    assert found.estimate.low > yardstick.high
    assert (yardstick.n, yardstick.n_missing) == (80, 0)
    assert found.parameters["history_auc"] == yardstick.value
    assert found.notes == (
        f"AUC of the same attackers on the users' histories: {yardstick.value:.3f}",
    )


def test_histories_that_tell_the_attribute_are_seen_by_the_yardstick_alone():
    """Women's histories come from one half of the catalog; the lists depend on nobody."""
    rows = world().interactions
    items = np.array(rows.item_index)
    for number in range(len(rows.user_ids)):
        own = slice(rows.offsets[number], rows.offsets[number + 1])
        woman = rows.attributes[number]["gender"] == "female"
        items[own] = items[own] // 2 * 2 + woman
    dataset = Dataset(world().catalog, dataclasses.replace(rows, item_index=items))
    found = run_probe(
        "fairness.leak", Clean(), dataset=dataset, attributes=("gender",), draws=99
    ).findings[0]
    assert found.baseline.low > 0.9
    assert found.estimate.value < 0.8


def test_too_few_users_are_missing():
    found = run_probe("fairness.leak", Clean(), n_users=30, attributes=("gender",)).findings[0]
    assert found.estimate.value is None
    assert "20 users with a list" in found.estimate.reason


def test_representations_are_embedded_in_batches():
    sizes = []

    class Counting(EmbedsGender):
        def embed(self, texts):
            sizes.append(len(texts))
            return super().embed(texts)

    run_probe("fairness.leak", Counting(), attributes=("gender",), draws=9)
    assert sizes == [64, 16]
    assert np.sum(sizes) == 80


def test_interval_is_wider_than_that_of_one_attacker_alone():
    draws = np.random.default_rng(0).normal(0.5, 0.05, size=(2, 4_000))
    levels = np.asarray(quantile_levels())
    joint = _joint_quantiles(list(draws))
    one = _joint_quantiles([draws[0]])
    assert np.all(np.diff(joint) >= 0)
    at = {level: int(np.argmin(np.abs(levels - level))) for level in (0.025, 0.975)}
    assert joint[at[0.975]] > one[at[0.975]]
    assert one[at[0.025]] == pytest.approx(0.402, abs=0.01)
    assert joint[at[0.025]] == pytest.approx(0.388, abs=0.01)


@pytest.mark.parametrize("parameters", [{"min_class": 4}, {"draws": 0}, {"n_users": 0}])
def test_parameters_out_of_range_are_refused(parameters):
    with pytest.raises(InvalidArgument):
        AttributeLeakageProbe(**parameters)


def test_a_misspelled_attribute_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidArgument, match="Did you mean 'gender'"):
        run_probe("fairness.leak", Clean(), attributes=("gendr",))
