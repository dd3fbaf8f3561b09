"""Text of an explained recommendation, for the terminal and for the HTML page."""

from __future__ import annotations

from auditkit.attribution.card import Blindness, Card
from auditkit.attribution.estimators import ranking
from auditkit.attribution.explanation import Explanation
from auditkit.attribution.faithfulness import Aopc
from auditkit.attribution.missing import Missing
from auditkit.reporting.heat_map import HeatMap, HeatRow, draw_heat_map
from auditkit.reporting.interval_plots import Row
from auditkit.reporting.pages.explanation_page import CardRow, ExplanationView
from auditkit.run.explain import UserExplanation

__all__ = ["view_of"]

_FAR = 3.0


def view_of(found: UserExplanation) -> ExplanationView:
    """Format an explanation for display; a missing result shows its reason instead of a number."""
    explained = found.explanation
    able = not isinstance(explained, Missing)
    return ExplanationView(
        target=found.target,
        user=found.user_id,
        item=found.item.title,
        rank=found.rank,
        unit=found.unit,
        effects=_effects(explained) if isinstance(explained, Explanation) else (),
        listed=tuple(item.raw for item in found.listed),
        card=_card(explained, found.unit) if isinstance(explained, Explanation) else (),
        facts=_facts(found),
        heat_map=_heat_map(found),
        notes=(*_notes(found), *(() if able else (f"no explanation: {_words(explained)}",))),
    )


def _effects(one: Explanation) -> tuple[Row, ...]:
    values, low, high = one.attribution.values, one.attribution.low, one.attribution.high
    return tuple(
        Row(
            label=one.game.spans[i].text,
            value=float(values[i]),
            low=None if low is None else float(low[i]),
            high=None if high is None else float(high[i]),
            n=one.attribution.evaluations,
        )
        for i in ranking(values)
    )


def _heat_map(found: UserExplanation) -> HeatMap | None:
    """Draw the effects by token, with the spans in the order of the bars."""
    one, by_token = found.explanation, found.by_token
    if isinstance(one, Missing) or isinstance(by_token, Missing):
        return None
    values = one.attribution.values
    rows = [
        HeatRow(one.game.spans[i].text, float(values[i]), tuple(map(float, by_token.values[i])))
        for i in ranking(values)
    ]
    return draw_heat_map(rows, by_token.texts, title="Effects by token", unit=found.unit)


def _card(one: Explanation, unit: str) -> tuple[CardRow, ...]:
    card = one.card
    interval = card.lds_interval
    ends = "" if isinstance(interval, Missing) else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
    squared = card.infidelity if isinstance(card.infidelity, Missing) else card.infidelity.raw
    scaled: object = squared
    if not isinstance(card.infidelity, Missing):
        factor = card.infidelity.rescaled
        scaled = (
            Missing("the effects predict a drop of 0 for every removal")
            if factor is None
            else factor
        )
    rows = [
        CardRow(
            "predicts removals (LDS)",
            f"{_words(card.lds)}{ends}",
            f"rank correlation over {card.lds_masks} random removals; 1 is ideal",
        ),
        CardRow(
            "ceiling of the LDS",
            _words(card.lds_ceiling),
            "largest LDS that an additive explanation can reach",
        ),
        CardRow(
            "interaction share",
            _words(card.interaction_share),
            "1 - ceiling: the part that no additive explanation can capture",
        ),
        CardRow(
            "removing the top items",
            _aopc(card.comprehensiveness, unit),
            "mean drop; should exceed that of random order",
        ),
        CardRow(
            "keeping only the top items",
            _aopc(card.sufficiency, unit),
            "mean drop; should be below that of random order",
        ),
        CardRow(
            "removing the top items, in probability",
            _aopc(card.comprehensiveness_p, "of probability"),
            "mean drop in probability; should exceed that of random order",
        ),
        CardRow(
            "keeping only the top items, in probability",
            _aopc(card.sufficiency_p, "of probability"),
            "mean drop in probability; should be below that of random order",
        ),
        CardRow(
            "infidelity", _words(squared), f"mean squared error of drops, {unit}^2; 0 is ideal"
        ),
        CardRow(
            "infidelity, rescaled",
            _words(scaled),
            "infidelity after scaling the effects by the best factor",
        ),
        CardRow(
            "benign edits", _words(card.sensitivity), "relative change of the effects; 0 is ideal"
        ),
        CardRow("another mask seed", _words(card.noise), "noise floor of the relative change"),
        CardRow(
            "reversed history",
            _words(card.order),
            "relative change of the effects; may be above 0 if order matters",
        ),
    ]
    rows += [
        CardRow(
            f"agreement with {name}",
            _words(other.pearson),
            f"Pearson correlation; tau-b {_words(other.kendall)}; {other.jaccard:.0%} of the top 3 "
            "are shared",
        )
        for name, other in card.agreement.items()
    ]
    rows += [
        CardRow(
            f"agreement with {name}",
            _words(reason),
            "this method cannot be used for this recommender",
        )
        for name, reason in card.unavailable.items()
    ]
    return (*rows, _blindness(one, card.loo), _random_weights(card))


def _blindness(one: Explanation, row: Blindness | Missing) -> CardRow:
    name = "leave-one-out"
    if isinstance(row, Missing):
        return CardRow(name, _words(row), "cannot be judged")
    if not row.flagged:
        return CardRow(
            name, "not blind", "no sign that leave-one-out misses items that can replace each other"
        )
    pair = row.pair or ()
    titles = " and ".join(one.game.spans[i].text for i in pair) or "some items"
    return CardRow(
        name,
        "blind",
        f"{titles} can replace each other, so leave-one-out misses their effect; use another "
        "estimator",
    )


def _random_weights(card: Card) -> CardRow:
    return CardRow(
        "random weights",
        _words(card.randomization),
        "the probe `explain.randomization` runs this test in an audit",
    )


def _facts(found: UserExplanation) -> tuple[tuple[str, str], ...]:
    one = found.explanation
    facts = [("explained value", f"log-probability, {found.unit}" if not found.coarse else
              "reciprocal rank in the list")]  # fmt: skip
    if isinstance(one, Explanation):
        card = one.card
        facts += [
            ("estimator", one.attribution.estimator),
            ("evaluations in the fit", str(one.attribution.evaluations)),
            ("requests in all", f"{card.masks} masks, {card.n_missing} missing"),
            ("seed", str(card.seed)),
            ("value of the whole request", _words(card.whole)),
            ("value without any span", _words(card.empty)),
            ("sum of the effects", f"{one.attribution.values.sum():.4g}"),
        ]
    if found.tokens is not None:
        facts.append(("tokens computed", ", ".join(f"{k} {n:,}" for k, n in found.tokens.items())))
    return tuple(facts)


def _notes(found: UserExplanation) -> list[str]:
    notes = []
    if found.coarse:
        notes.append("coarse: the recommender has no scores, so the rank of the item was explained")
    if isinstance(found.explanation, Explanation):
        z, note = found.explanation.card.empty_z, found.explanation.attribution.note
        if not isinstance(z, Missing) and abs(z) > _FAR:
            notes.append(
                f"the value of the request without any of these items is {abs(z):.1f} standard "
                "deviations from the values of the other requests; methods that use this request, "
                "such as Shapley values, may mislead"
            )
        notes += [note] if note.startswith("no interval") else []
    return notes


def _aopc(row: Aopc | Missing, unit: str) -> str:
    if isinstance(row, Missing):
        return _words(row)
    best = "" if isinstance(row.best, Missing) else f", best {row.best:.3g}"
    return f"{row.value:.3g} {unit} (random {row.random:.3g}{best})"


def _words(value: object) -> str:
    if isinstance(value, Missing):
        return f"missing: {value.reason}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
