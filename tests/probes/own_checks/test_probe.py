"""Own checks find what they state, are quiet otherwise, and never read a misspelling as 0."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted_recommenders import Clean, RecommendsConsumed, WrongCount, new_items, titles
from policies import judging, result_of
from run_folder import outcome
from run_probe import run_probe
from small_world import world

from auditkit.errors import ConfigurationError, InvalidArgument
from auditkit.policy.decide import decide
from auditkit.probes.own_checks.check import OwnCheck

CATALOG = world().catalog


def check(on, **condition):
    return OwnCheck(id="mine", about="a check", on=on, **condition)


def measured(recommender, *checks, **parameters):
    run = run_probe("check", recommender, checks=checks, n_users=40, k=8, **parameters)
    return run.one("check.mine") if len(checks) == 1 else run


class OnlyOld(Clean):
    """Lists films from before 1960 first."""

    def answer(self, request):
        ranked = sorted(new_items(request), key=lambda item: (item.year or 0) >= 1960)
        return titles(ranked[: request.k])


class Chats(Clean):
    """Answers every second user with a link before the list."""

    def answer(self, request):
        listed = "\n".join(f"{n}. {t}" for n, t in enumerate(super().answer(request), start=1))
        link = "See https://shop.example/x\n" if int(request.user_id) % 2 else ""
        return link + listed


def test_share_of_items_with_an_attribute_is_that_of_the_lists():
    found = measured(OnlyOld(), check("items", attribute="year", below=1960))
    old = {item.id for item in CATALOG.items if (item.year or 0) < 1960}
    assert len(old) > 8
    assert found.estimate.value > 0.9
    assert found.estimate.low > 0.8
    assert found.estimate.unit == "fraction of items"
    assert len(found.units) == found.estimate.n == 40
    assert "has year 19" in found.evidence[0].what
    young = measured(OnlyOld(), check("items", attribute="year", above=1959))
    assert young.estimate.value == pytest.approx(1 - found.estimate.value)


def test_an_attribute_with_several_values_is_a_violation_if_any_value_is_the_stated_one():
    genre = CATALOG.items[0].genres[0]
    found = measured(Clean(), check("items", attribute="genre", is_value=genre))
    lists = [new_items(request)[:8] for request in _requests(40)]
    expected = [sum(genre in item.genres for item in items) / 8 for items in lists]
    assert found.estimate.value == pytest.approx(sum(expected) / len(expected))
    other = measured(Clean(), check("items", attribute="genre", is_not=genre))
    assert other.estimate.value == pytest.approx(1 - found.estimate.value)


def _requests(n):
    from small_world import N_USERS

    from auditkit.probes.base import Context, load_users, neutral_request

    context = Context(world(), 0, "check", {}, load_users(world()))
    assert n <= N_USERS
    return [neutral_request(user, k=8) for user in context.sample_users(n)]


@pytest.mark.parametrize(
    ("faulty", "stated"),
    [
        (RecommendsConsumed(), check("items", in_history=True)),
        (WrongCount(), check("answer", fewer_than=8)),
        (Chats(), check("text", matches="https?://")),
        (Chats(), check("text", contains=("SHOP.example", "sponsored"))),
        (Clean(), check("text", lacks=("terms apply",))),
    ],
)
def test_a_planted_fault_is_found_and_a_clean_control_is_quiet(faulty, stated):
    found = measured(faulty, stated)
    assert found.estimate.low > 0.2
    assert found.evidence
    assert found.n_cases > 10
    if stated.lacks is None:
        clean = measured(Clean(), stated)
        assert (clean.estimate.value, clean.evidence, clean.n_cases) == (0, (), 0)
        assert clean.estimate.high < 0.1


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ({"attribute": "yaer", "below": 1960}, "no attribute 'yaer'. Did you mean 'year'"),
        ({"attribute": "genre", "is_value": "Horor"}, "'Horor'. Did you mean 'Horror'"),
        ({"attribute": "genre", "below": 3}, "the predicate has no numbers"),
        ({"attribute": "year", "is_value": "old"}, "year = 'old' cannot be checked"),
    ],
)
def test_a_misspelled_attribute_or_value_is_not_assessable_and_never_0(tmp_path, stated, reason):
    found = measured(Clean(), check("items", **stated))
    assert found.estimate.value is None
    assert reason in found.estimate.reason
    decision = decide(_result(found), judging(tmp_path, RULE))
    assert (decision.rules[0].reason, decision.exit_code) == ("not_assessable", 11)


RULE = "  - {id: r, metric: check.mine, max: 0.1}"


def _result(*findings, stated=("mine",)):
    checks = [{"id": name} for name in stated]
    base = replace(result_of(), recipe={"probes": {"check": {"checks": checks}}})
    return replace(base, findings=findings, outcomes=(outcome("check"),))


def test_a_rule_limits_a_check_like_any_metric(tmp_path):
    policy = judging(tmp_path, RULE)
    for recommender, verdict in ((Clean(), "pass"), (WrongCount(), "fail")):
        found = measured(recommender, check("answer", fewer_than=8))
        decision = decide(_result(found), policy)
        assert decision.rules[0].verdict == verdict
        assert decision.rules[0].dimension == "check"


def test_a_rule_on_a_check_that_the_run_lacks_is_an_error(tmp_path):
    policy = judging(tmp_path, RULE)
    with pytest.raises(ConfigurationError, match="Did you mean 'mines'"):
        decide(_result(stated=("mines",)), policy)
    with pytest.raises(ConfigurationError, match="states no checks"):
        decide(result_of(), policy)
    with pytest.raises(ConfigurationError, match="unknown metric"):
        judging(tmp_path, RULE.replace("check.mine", "check.My Check"))


def test_several_checks_share_their_requests():
    one = run_probe("check", Clean(), checks=(check("answer", fewer_than=8),), n_users=40)
    two = run_probe(
        "check",
        Clean(),
        checks=(
            check("answer", fewer_than=8),
            OwnCheck(id="b", about="b", on="answer", fewer_than=3),
        ),
        n_users=40,
    )
    assert two.asked == one.asked
    assert len(two.findings) == 2


def test_a_long_text_is_read_up_to_a_limit_and_the_report_says_so():
    class Writes(Clean):
        def answer(self, request):
            listed = "\n".join(f"{n}. {t}" for n, t in enumerate(super().answer(request), start=1))
            return listed + "\n" + "word " * 1000 + "https://late.example"

    found = measured(Writes(), check("text", matches="https?://"))
    assert found.estimate.value == 0
    assert "only the first 4,000 characters of 40 longer texts were checked" in found.notes


def test_repeated_ids_are_refused():
    twice = (check("answer", fewer_than=8), check("answer", fewer_than=3))
    with pytest.raises(InvalidArgument, match="occurs twice"):
        measured(Clean(), *twice)
