"""Audit recipes: every fault at once with its line; no letter of a shipped file is idle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditkit.errors import AuditkitError, ConfigurationError
from auditkit.policy.schema import Policy
from auditkit.probes.fairness.counterfactual.probe import CounterfactualProbe
from auditkit.run.recipe import AuditRecipe, read_recipe
from auditkit.serialization.strict_yaml import load_yaml
from auditkit.shipped_recipes import find_recipe, shipped_recipes
from auditkit.training.recipe_checks import read_training_recipe

READERS = {"audit": read_recipe, "train": read_training_recipe, "policy": Policy.read}
GOOD = "version: 1\nname: tiny\nprobes:\n  utility.ranking: {n_users: 5}\n"


def recipe(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_recipe(recipe(folder, text))
    return str(caught.value)


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_every_shipped_recipe_and_policy_loads(name):
    READERS[name.split("/")[0]](shipped_recipes()[name])


def _keys(name: str) -> list[tuple[int, str]]:
    document = load_yaml(shipped_recipes()[name])
    found = {
        (line, str(path[-1]))
        for path, line in document.lines.items()
        if path and isinstance(path[-1], str)
    }
    return sorted(found)


EVERY_KEY = [(name, line, key) for name in shipped_recipes() for line, key in _keys(name)]


@pytest.mark.parametrize(("name", "line", "key"), EVERY_KEY)
def test_one_wrong_letter_in_any_key_of_a_shipped_recipe_is_an_error(tmp_path, name, line, key):
    lines = shipped_recipes()[name].read_text(encoding="utf-8").split("\n")
    wrong = key[:-1] + ("q" if key[-1] != "q" else "z")
    before = lines[line - 1]
    lines[line - 1] = re.sub(rf"(?<![\w.-]){re.escape(key)}(?=:)", wrong, before, count=1)
    assert lines[line - 1] != before
    with pytest.raises(AuditkitError):
        READERS[name.split("/")[0]](recipe(tmp_path, "\n".join(lines)))


def test_wrong_key_is_named_with_its_line_and_the_right_one(tmp_path):
    message = faults(tmp_path, GOOD + "sead: 3\n")
    assert "recipe.yaml:5: sead" in message
    assert "Did you mean 'seed'" in message


def test_unknown_probe_is_named_with_its_line_and_the_right_one(tmp_path):
    message = faults(tmp_path, GOOD + "  hallucination.catalogue: {}\n")
    assert "recipe.yaml:5: probes.hallucination.catalogue: unknown probe" in message
    assert "Did you mean 'hallucination.catalog'" in message


def test_unknown_parameter_is_named_with_its_line_and_the_right_one(tmp_path):
    message = faults(tmp_path, GOOD.replace("n_users: 5", "\n    n_user: 5"))
    assert "recipe.yaml:5: probes.utility.ranking.n_user: unknown parameter" in message
    assert "Did you mean 'n_users'" in message


def test_parameter_that_the_probe_id_fixes_cannot_be_set(tmp_path):
    assert "unknown parameter" in faults(
        tmp_path, GOOD + "  robustness.prompt.typo: {edit: case}\n"
    )


def test_list_of_no_items_is_refused_with_its_line(tmp_path):
    message = faults(tmp_path, GOOD + "  hallucination.catalog:\n    k: 0\n")
    assert "recipe.yaml:5: probes.hallucination.catalog: hallucination.catalog got k=0" in message


@pytest.mark.parametrize("value", ["ten", '"10"', "2.5", "10.0", "true", "[10]", "{a: 1}", ".nan"])
def test_parameter_of_another_type_is_refused_with_its_line(tmp_path, value):
    message = faults(
        tmp_path, GOOD.replace("{n_users: 5}", f"{{}}\n  hallucination.catalog: {{k: {value}}}")
    )
    assert "recipe.yaml:5: probes.hallucination.catalog.k" in message


@pytest.mark.parametrize("value", ["[gender, 3]", "gender", "[]", "[shoe size]"])
def test_wrong_attributes_are_refused(tmp_path, value):
    assert "recipe.yaml:5" in faults(
        tmp_path, GOOD + f"  fairness.counterfactual: {{attributes: {value}}}\n"
    )


def test_every_fault_is_reported_at_once(tmp_path):
    text = (
        "version: 1\nname: Tiny Recipe\nsead: 3\nseed: -1\nbatch_size: many\nprobes:\n"
        "  utility.ranking: {n_user: 5}\n  hallucination.catalog: {k: 0}\n"
        "  robustness.prompt.typo: {n_users: x, kk: 1}\n  fairness.counterfactul: {}\n"
    )
    message = faults(tmp_path, text)
    for place in (
        "2: name",
        "3: sead",
        "4: seed",
        "5: batch_size",
        "7: probes",
        "8: probes",
        "9: probes",
        "10: probes",
    ):
        assert f"recipe.yaml:{place}" in message
    assert message.count("recipe.yaml:9:") == 2


@pytest.mark.parametrize("probes", ["{}", "", "[utility.ranking]", "{utility.ranking: 3}"])
def test_recipe_without_a_mapping_of_probes_is_refused(tmp_path, probes):
    assert "recipe.yaml:3: probes" in faults(
        tmp_path, f"version: 1\nname: tiny\nprobes: {probes}\n"
    )


def test_recipe_of_another_version_is_refused(tmp_path):
    assert "recipe.yaml:1: version" in faults(tmp_path, GOOD.replace("version: 1", "version: 2"))


def test_list_in_a_recipe_becomes_what_the_probe_declares(tmp_path):
    chosen = read_recipe(
        recipe(tmp_path, GOOD + "  fairness.counterfactual: {attributes: [gender]}\n")
    )
    assert chosen.build("fairness.counterfactual") == CounterfactualProbe(attributes=("gender",))


def test_preset_of_a_probe_id_reaches_the_probe(tmp_path):
    chosen = read_recipe(recipe(tmp_path, GOOD + "  robustness.unicode.zerowidth: {k: 4}\n"))
    built = chosen.build("robustness.unicode.zerowidth")
    assert (built.edit, built.k) == ("zerowidth", 4)


def two_dimensions() -> AuditRecipe:
    return AuditRecipe(
        version=1,
        name="two",
        probes={"utility.ranking": {}, "privacy.claim": {}, "privacy.membership": {}},
    )


def test_only_keeps_a_dimension():
    assert list(two_dimensions().only(["privacy"]).probes) == [
        "privacy.claim",
        "privacy.membership",
    ]


def test_only_keeps_a_probe():
    assert list(two_dimensions().only(["privacy.claim"]).probes) == ["privacy.claim"]


def test_only_refuses_a_name_that_is_neither():
    with pytest.raises(ConfigurationError, match="Did you mean 'privacy'"):
        two_dimensions().only(["privaci"])


def test_only_refuses_what_the_recipe_does_not_hold():
    with pytest.raises(ConfigurationError, match="has no probe of robustness"):
        two_dimensions().only(["robustness"])


def test_shipped_recipe_is_found_by_its_name_and_a_file_by_its_path(tmp_path):
    assert find_recipe("quick", kind="audit") == shipped_recipes()["audit/quick"]
    assert find_recipe(str(recipe(tmp_path, GOOD)), kind="audit") == tmp_path / "recipe.yaml"


def test_recipe_that_does_not_exist_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match="Did you mean 'quick'"):
        find_recipe("quik", kind="audit")


def test_errors_of_schema_and_probes_are_counted_together_in_the_order_of_lines(tmp_path):
    text = (
        "version: 2\n"
        "nme: tiny\n"
        "probes:\n"
        "  utility.rankin: {}\n"
        "  hallucination.catalog: {n_user: 5}\n"
        "seed: -1\n"
    )
    first, *listed = faults(tmp_path, text).splitlines()
    lines = [int(found[1]) for line in listed if (found := re.search(r"recipe.yaml:(\d+):", line))]
    assert f"has {len(lines)} errors" in first
    assert lines == sorted(lines)
    assert {1, 2, 4, 5, 6} <= set(lines)
