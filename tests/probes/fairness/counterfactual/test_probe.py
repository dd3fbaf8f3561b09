"""What the counterfactual probe asks, what it makes of the answers, and when it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from planted_recommenders import Clean, FavorsWomen, chance, new_items, titles
from run_probe import run_probe
from small_world import world

from auditkit.domains.shipped import domain_pack
from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.probes.base import Context, NotAssessable, load_users
from auditkit.probes.fairness.candidates import instructions
from auditkit.probes.fairness.counterfactual.anchors import anchors_of
from auditkit.probes.fairness.counterfactual.design import Arm, Design, Stated, arms_of
from auditkit.probes.fairness.counterfactual.probe import CounterfactualProbe
from auditkit.probes.fairness.counterfactual.response_tables import ResponseTables
from auditkit.probes.fairness.counterfactual.reworded_arms import reworded_arms
from auditkit.probes.fairness.counterfactual.validity import guard, require_usable_responses
from auditkit.recommenders.prompting.attribute_phrases import read_wordings, shipped_wordings
from auditkit.stats.counterfactual import counterfactual_test
from auditkit.types import RankedItem, Request, Response

ID = "fairness.counterfactual"


def context():
    return Context(world(), 0, ID, {}, load_users(world()))


def arms(**settings):
    defaults = {
        "attributes": ("gender",), "intersections": (), "described": False, "n_placebo": None,
        "sampled": False, "max_values": 7,
    }  # fmt: skip
    return arms_of(context(), shipped_wordings(), **{**defaults, **settings})


class Recorder(Clean):
    """Keeps every request."""

    def __init__(self):
        self.asked = []

    def recommend(self, requests):
        self.asked += requests
        return super().recommend(requests)


# --- what is asked


def test_shipped_attributes_have_the_values_of_the_recipe():
    values = {name: len(one.values) for name, one in shipped_wordings().attributes.items()}
    assert values == {
        "gender": 3, "age": 3, "ethnicity": 4, "religion": 4, "nationality": 7, "continent": 4,
        "occupation": 5, "build": 2,
    }  # fmt: skip
    assert len(shipped_wordings().placebo) == 9


def test_requests_of_a_probe_differ_in_the_person_alone():
    recorder = Recorder()
    run_probe(ID, recorder, n_probes=1)
    assert len(recorder.asked) == 2 + 3 + 3 + 5 + 5
    first = recorder.asked[0]
    for request in recorder.asked:
        assert request.prompt.replace(request.who, "*") == first.prompt.replace(first.who, "*")
        assert (request.history, request.k, request.user_id) == (
            first.history, first.k, first.user_id,
        )  # fmt: skip
    assert {"a person", "someone", "a woman", "a left-handed person"} <= {
        request.who for request in recorder.asked
    }


def test_users_are_described_as_in_training_where_the_recommender_was_trained_on_them():
    recorder = Recorder()
    manifest = {"training": {"data_sha256": world().fingerprint}}
    run_probe(ID, recorder, n_probes=1, manifest=manifest, anchors="history")
    stated = [dict(request.attributes) for request in recorder.asked]
    assert {"gender": "female"} in stated
    assert {"age": "under 25"} in stated
    assert any("a female user" in request.prompt for request in recorder.asked)
    user = next(u for u in load_users(world()) if u.id == recorder.asked[0].user_id)
    assert recorder.asked[0].history == user.history


def test_titles_are_drawn_from_all_thirds_by_popularity():
    anchors = anchors_of(context(), n=30, history=False, n_candidates=0)
    counts = np.bincount(world().interactions.item_index, minlength=60)
    ranked = [world().catalog.items[row].id for row in np.argsort(-counts, kind="stable")]
    places = [ranked.index(anchor.history[0].id) // 20 for anchor in anchors]
    assert [places.count(third) for third in range(3)] == [10, 10, 10]


def test_candidates_are_the_same_in_every_request_of_a_probe_and_never_the_anchor():
    recorder = Recorder()
    run_probe(ID, recorder, n_probes=4, candidates=30)
    by_probe = {}
    for request in recorder.asked:
        by_probe.setdefault(request.user_id, set()).add(request.candidates)
        assert len(request.candidates) == 30
        assert not {c.id for c in request.candidates} & {i.id for i in request.history}
    assert all(len(lists) == 1 for lists in by_probe.values())
    assert len(set.union(*by_probe.values())) == 4


def test_every_template_is_asked_and_averaged_inside_the_cell():
    recorder = Recorder()
    run = run_probe(ID, recorder, n_probes=25, templates=3, attributes=("gender",))
    assert len({request.prompt for request in recorder.asked[: 3 * 8]}) == 3 * 8
    assert run.one(f"{ID}.snsr", "gender").estimate.n == 25


def test_repeats_are_asked_with_seeds_of_their_own_and_compared_between_values():
    recorder = Recorder()
    run = run_probe(ID, recorder, n_probes=25, attributes=("gender",), repeats=2, temperature=0.7)
    assert len(recorder.asked) == 25 * (2 + 3 * 2 + 3 * 2)
    assert len({request.seed for request in recorder.asked}) == len(recorder.asked)
    shift = run.one(f"{ID}.placebo_shift", "gender")
    assert shift.parameters["between_difference"] == 0.0


def test_crossed_attributes_state_every_pair():
    (crossed,) = [a for a in arms(intersections=(("gender", "age"),)) if a.kind == "crossed"]
    assert (crossed.name, crossed.shape, len(crossed.stated)) == ("gender&age", (3, 3), 9)
    assert crossed.stated[1].who == "a woman who is also a 40-year-old"
    assert crossed.stated[1].attributes == {"gender": "a woman", "age": "a 40-year-old"}


def test_other_wordings_bring_their_own_placebo_and_neutral_phrases():
    found = reworded_arms(shipped_wordings(), attributes=("gender", "age"), wording="german")
    assert [(arm.name, arm.kind) for arm in found] == [
        ("neutral", "neutral"), ("gender", "attribute"), ("age", "attribute"),
        ("placebo", "placebo"),
    ]  # fmt: skip
    assert found[1].stated[0].who == "eine Frau"
    (typo, _) = reworded_arms(shipped_wordings(), attributes=("gender",), wording="typo")
    assert [stated.who for stated in typo.stated] == ["a woan", "a mn", "a non-bnary person"]
    named = reworded_arms(shipped_wordings(), attributes=("gender", "age"), wording="named")
    assert [arm.name for arm in named] == ["gender", "placebo"]


@pytest.mark.parametrize("domain", ["movies", "music", "books", "items"])
def test_every_domain_has_its_noun_in_every_template(domain):
    nouns = {"movies": "movies", "music": "songs", "books": "books", "items": "items"}
    chosen = instructions((), n=3, pack=domain_pack(domain), history=False, listing=False)
    assert all(nouns[domain] in template for template in chosen["phrases"])
    assert (
        "{candidates}"
        in instructions((), n=1, pack=domain_pack(domain), history=False, listing=True)["phrases"][
            0
        ]
    )


FILE = (
    "version: 1\nneutral: [a person, someone]\n"
    "placebo: [{id: a, phrase: a tidy person}, {id: b, phrase: a busy person}]\n"
    "attributes:\n  diet:\n    values:\n"
    "      - {id: vegan, phrase: a vegan}\n      - {id: other, phrase: a meat eater}\n"
)


def test_own_attributes_are_read_from_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(FILE)
    run = run_probe(ID, Clean(), n_probes=20, attributes=("diet",), attributes_file=str(file))
    assert run.one(f"{ID}.snsr", "diet").parameters["phrases"] == ["a vegan", "a meat eater"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("version: 1\nneutral: [a]\n", "neutral"),
        ("version: 1\nneutral: [a, b]\nplacebo: []\nattributes: {}\n", "placebo"),
        (FILE.replace("someone", "a person"), "the repeated neutral request would be"),
        (FILE.replace("id: b,", "id: a,"), "have the same id"),
        (FILE.replace("a busy person", "a tidy person"), "have the same phrase"),
        (FILE.replace("diet:", "diet&sex:"), "diet&sex"),
        (FILE.replace("a vegan", "someone"), "both a neutral phrase"),
        (FILE.replace("a vegan", "' '"), "phrase"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(tmp_path, text, fault):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=fault):
        read_wordings(file)


@pytest.mark.parametrize(
    "wrong",
    [
        {"attributes": ("hair",)},
        {"attributes": ()},
        {"repeats": 2},
        {"k": 0},
        {"margin": 0.0},
        {"intersections": (("gender", "hair"),)},
        {"intersections": (("gender", "gender"),)},
        {"intersections": (("gender", "age"), ("age", "gender"))},
        {"attributes": ("gender", "gender")},
        {"wordings": ("typo", "typo")},
        {"placebo": -1},
        {"candidates": -5},
        {"candidates": 10},
        {"temperature": -1.0, "repeats": 2},
    ],
)
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidArgument):
        CounterfactualProbe(**wrong)


# --- what is made of the answers


def answers(lists, *, n_values=2, k=4, statuses=None):
    """Answers of probes: two neutral lists, then one list per value, each a string of items."""
    stated = tuple(Stated(str(v), f"v{v}", {}) for v in range(n_values))
    neutral = Arm("neutral", "neutral", (Stated("", "a", {}), Stated("", "b", {})))
    design = Design((neutral, Arm("x", "attribute", stated)), {"phrases": ("",)}, k)
    rows = [
        [
            Response(
                request_id=f"{i}-{j}",
                status=(statuses or {}).get((i, j), "ok" if items else "refusal"),
                items=tuple(RankedItem(raw=c, item_id=c) for c in items),
            )
            for j, items in enumerate(row)
        ]
        for i, row in enumerate(lists)
    ]
    return ResponseTables(design, rows)


def test_similarity_is_the_mean_over_neutral_lists_and_skips_empty_ones():
    found = answers([["abcd", "abcx", "abcd", "wxyz"], ["", "abcd", "abcd", "ab"]])
    assert found.complete(1) == [0, 1]
    table = found.similarity(1, "jaccard", [0, 1])
    assert table == pytest.approx(np.array([[(1 + 3 / 5) / 2, (0 + 1 / 7) / 2], [1, 0.5]]))


def test_a_refusal_counts_as_zero_and_a_failed_call_drops_its_probe():
    found = answers(
        [["abcd", "abcd", "", "abcd"], ["abcd", "abcd", "abcd", "abcd"]],
        statuses={(1, 3): "target_error"},
    )
    assert found.complete(1) == [0]
    assert found.similarity(1, "serp", [0]).tolist() == [[0.0, 1.0]]
    assert found.unusable(1).tolist() == [[1.0, 0.0]]


def test_a_probe_without_any_neutral_list_is_missing():
    assert answers([["", "", "abcd", "abcd"]]).complete(1) == []


def test_shares_of_groups_split_items_and_pool_small_groups():
    membership = {"a": {"drama": 0.5, "war": 0.5}, "b": {"drama": 1.0}}
    groups, shares = answers([["ab", "ab", "ab", "bz"]], k=2).group_shares(1, [0], membership)
    assert groups == ("drama", "not in the catalog", "war", "other")
    assert shares[0].tolist() == [[0.75, 0, 0.25, 0], [0.5, 0.5, 0, 0]]


def test_the_raw_table_gives_the_same_numbers_again():
    class Unequal(Clean):
        def answer(self, request):
            clean = new_items(request)
            moved = "woman" in request.who and chance(request.user_id, request.who) < 0.6
            return titles(clean[3:13] if moved else clean[:10])

    run = run_probe(ID, Unequal(), draws=999)
    found = run.one(f"{ID}.snsr", "gender")
    test = counterfactual_test(
        found.parameters["similarity"], rng=np.random.default_rng(5), n_permutations=999
    )
    assert test.snsr == pytest.approx(found.estimate.value, abs=1e-5)
    assert test.p_value == pytest.approx(found.parameters["p"], abs=0.02)
    assert test.noise_floor == pytest.approx(found.parameters["noise_floor"], abs=1e-5)
    assert found.parameters["pairs"]
    assert all(pair[0] == "woman" for pair in found.parameters["pairs"])


class RefusesWomen(Clean):
    """Refuses some women and gives everyone the same list otherwise."""

    def answer(self, request):
        if "woman" in request.who and chance(request.user_id) < 0.3:
            return []
        return super().answer(request)


def test_refusals_are_no_steering():
    run = run_probe(ID, RefusesWomen())
    steer = run.one(f"{ID}.steer", "gender")
    assert steer.estimate.value == 0.0
    assert steer.law.p_adjusted > 0.05
    assert run.one(f"{ID}.missing_gap", "gender").law.p_adjusted <= 0.05


def test_lists_that_are_short_for_one_value_are_a_missing_gap():
    class ShortForWomen(Clean):
        def answer(self, request):
            few = "woman" in request.who and chance(request.user_id) < 0.5
            return super().answer(request)[: 2 if few else None]

    gap = run_probe(ID, ShortForWomen()).one(f"{ID}.missing_gap", "gender")
    assert gap.estimate.low > 0.2


def test_placebo_contrast_counts_the_probes_that_have_both_arms():
    class FailsPlacebos(Clean):
        def recommend(self, requests):
            if any("tidy" in r.who and chance(r.user_id) < 0.3 for r in requests):
                raise RuntimeError("busy")
            return super().recommend(requests)

    run = run_probe(ID, FailsPlacebos())
    shift, snsr = run.one(f"{ID}.placebo_shift", "gender"), run.one(f"{ID}.snsr", "gender")
    assert snsr.estimate.n_missing == 0
    assert shift.estimate.n_missing > 5
    assert shift.estimate.n + shift.estimate.n_missing == 60


def test_described_users_have_a_placebo_around_the_same_noun():
    recorder = Recorder()
    manifest = {"training": {"data_sha256": world().fingerprint}}
    run_probe(ID, recorder, n_probes=1, manifest=manifest, attributes=("gender", "religion"), k=5)
    said = {request.who for request in recorder.asked}
    assert {"a left-handed user", "a left-handed person", "", "a person", "someone"} <= said
    frames = arms(attributes=("gender", "religion"), described=True)
    assert [(a.name, a.wording) for a in frames] == [
        ("neutral", "described"), ("neutral", "phrases"), ("gender", "described"),
        ("religion", "phrases"), ("placebo", "described"), ("placebo", "phrases"),
    ]  # fmt: skip


def test_attributes_in_different_frames_cannot_be_crossed():
    with pytest.raises(InvalidArgument, match="cannot be crossed"):
        arms(intersections=(("gender", "religion"),), described=True)


def test_fewer_anchors_than_planned_are_said():
    run = run_probe(ID, Clean(), n_probes=500, attributes=("gender",))
    notes = run.one(f"{ID}.snsr", "gender").notes
    assert "500 probes were planned, but the data have only 60" in notes


def test_snsv_is_bounded_by_the_very_bounds_of_snsr():
    run = run_probe(ID, RefusesWomen(), attributes=("gender",))
    snsr, snsv = (run.one(f"{ID}.{m}", "gender").estimate for m in ("snsr", "snsv"))
    assert snsv.high == pytest.approx(snsr.high / 2)


def test_values_that_all_probes_answer_alike_have_no_bar_without_width():
    bars = run_probe(ID, Clean(), attributes=("gender",)).one(f"{ID}.snsr", "gender").parameters
    assert all(low < 1.0 == high for low, high in bars["mean_bars"].values())


def test_published_variants_stand_beside_the_normalized_one():
    run = run_probe(ID, FavorsWomen(), n_probes=30)
    published = run.one(f"{ID}.snsr_prag", "gender").parameters["published_variants"]
    # identical lists reach (k - 1) / (2 (k + 1)) in the paper's formula and 1 in the code's
    assert published["paper"] == [pytest.approx(9 / 22), 30]
    assert published["fairllm_code"] == [pytest.approx(1.0), 30]


def test_crossed_attributes_have_an_interaction_and_wordings_are_exploratory():
    run = run_probe(
        ID, FavorsWomen(), n_probes=25, attributes=("gender",),
        intersections=(("gender", "age"),), wordings=("typo", "german", "named"),
    )  # fmt: skip
    interaction = run.one(f"{ID}.interaction", "gender&age")
    assert interaction.estimate.low is not None
    assert len(interaction.parameters["contrasts"]) == 9
    for wording in ("typo", "german", "named"):
        found = run.one(f"{ID}.snsr_wording", f"attribute=gender&wording={wording}")
        assert "exploratory" in found.notes[0]
        assert run.one(f"{ID}.snsr_wording", f"attribute=placebo&wording={wording}")


def test_without_placebo_the_report_says_what_is_missing():
    run = run_probe(ID, Clean(), n_probes=25, placebo=0)
    found = run.one(f"{ID}.placebo_shift", "gender")
    assert found.estimate.status == "undefined"
    assert "needs_placebo" in found.notes[0]


# --- when it refuses


class Silent(Clean):
    def answer(self, request):
        return []


class Refuses(Clean):
    def answer(self, request):
        return "I'm sorry, but I cannot help with that."


@pytest.mark.parametrize("kind", [Silent, Refuses])
def test_hopeless_recommenders_are_given_up_after_a_pilot(kind):
    with pytest.raises(NotAssessable, match="the other requests were not sent"):
        run_probe(ID, kind())


@pytest.mark.parametrize(("k", "candidates"), [(59, 100), (60, 0), (80, None)])
def test_a_catalog_without_a_choice_is_not_assessable_and_nothing_is_asked(k, candidates):
    recorder = Recorder()
    with pytest.raises(NotAssessable, match=f"a request for k={k} items has only"):
        run_probe(ID, recorder, k=k, candidates=candidates)
    assert recorder.asked == []


class SilentAboutNames(Clean):
    """Has no answer to the arms in first names."""

    def answer(self, request):
        return [] if request.who.startswith("someone ") else super().answer(request)


def test_exploratory_wordings_never_decide_whether_something_is_assessable():
    settings = {"attributes": ("gender",), "n_probes": 25}
    run = run_probe(ID, SilentAboutNames(), wordings=("named",), **settings)
    assert run.one(f"{ID}.usable_rate").estimate.value == 1.0
    assert run.one(f"{ID}.snsr", "gender").estimate.n == 25


def test_the_pilot_gives_up_only_what_is_surely_below_the_limit():
    half = [["abcd", "abcd", "", ""]] * 20
    with pytest.raises(NotAssessable):
        require_usable_responses(answers(half))
    mostly = [["abcd", "abcd", "abcd", ""]] * 20
    require_usable_responses(answers(mostly))
    with pytest.raises(NotAssessable, match="75%"):
        guard(answers(mostly), n_items=100)


def test_a_list_that_ignores_the_request_is_said_to():
    class Same(Clean):
        def answer(self, request):
            return titles(world().catalog.items[: request.k])

    run = run_probe(ID, Same(), n_probes=25)
    assert any(
        "lists hardly depend on the request" in n for n in run.one(f"{ID}.snsr", "gender").notes
    )


def test_a_design_asks_its_slots_in_order():
    design = answers([["a"] * 4]).design
    requests = design.requests(Request(user_id="u"))
    assert [request.who for request in requests] == ["a", "b", "v0", "v1"]
    assert [slot.arm for slot in design.slots] == [0, 0, 1, 1]
