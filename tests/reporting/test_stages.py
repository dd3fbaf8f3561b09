"""The report's tables on the stages of a pipeline."""

from __future__ import annotations

import pytest

from auditkit.reporting.stages_section import PROBE, build_stages
from auditkit.types import Estimate, Exact, Finding


def found(metric, stage, value, low=None, high=None, **parameters):
    estimate = Estimate(
        value=value,
        low=value if low is None else low,
        high=value if high is None else high,
        n=80,
        unit="mean over users",
        direction="lower",
        reason=None if value is not None else "nothing",
        status="defined" if value is not None else "undefined",
    )
    return Finding(
        probe=PROBE,
        metric=f"{PROBE}.{metric}",
        group=f"stage={stage}",
        estimate=estimate,
        law=Exact(),
        parameters=parameters,
    )


def chain(change=(-0.1, -0.2, -0.05)):
    return [
        found("candidate_recall", "retrieval", 0.6, n=50),
        found("lost_rate", "retrieval", 0.4),
        found("lost_rate", "ranking", 0.25),
        found("left_out_rate", "ranking", 0.2),
        found("left_candidates_rate", "ranking", 0.1, n_added=1234),
        found("ndcg@10", "retrieval", 0.3),
        found("ndcg@10", "ranking", 0.2),
        found("ndcg_change", "ranking", *change, n_worse=17),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((-0.1, -0.2, -0.05), "ranking worsens its input order (-0.200 to -0.050)"),
        ((0.1, 0.05, 0.2), "ranking improves its input order (+0.050 to +0.200)"),
        ((0.0, -0.1, 0.1), "it is undecided whether ranking improves its input order"),
    ],
)
def test_the_sentence_names_the_losses_and_judges_the_order_by_its_interval(change, said):
    lead = build_stages(chain(change)).lead
    assert lead.startswith("Of the held-out items, retrieval loses 40.0%, ranking loses 25.0%, ")
    assert "35.0% reach the top 10" in lead
    assert said in lead


def test_rows_name_stage_share_and_cases():
    tables = build_stages(chain())
    assert tables.names == ("retrieval", "ranking")
    assert (
        tables.lost[0].what
        == "held-out items among the 50 candidates that the stage returns (recall@50)"
    )
    assert [row.n_cases for row in tables.added] == ["1,234 items"]
    assert tables.order[-1].n_cases == "worse for 17 users"
    assert len(tables.told) == 8


def test_other_results_have_no_tables():
    assert build_stages([]) is None


def test_undefined_numbers_are_shown_without_a_sentence():
    tables = build_stages([found("lost_rate", stage, None) for stage in ("a", "b")])
    assert (tables.lead, len(tables.lost)) == ("", 2)
