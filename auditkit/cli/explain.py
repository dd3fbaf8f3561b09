"""`auditkit explain`: explain one item of one user's list, without an audit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from auditkit.cli import audit_options as opt

if TYPE_CHECKING:
    from auditkit.reporting.pages.explanation_page import ExplanationView

__all__ = ["register"]

_BAR = 20


def register(app: typer.Typer) -> None:
    """Add the command `explain` to the application."""
    app.command()(explain)


def explain(
    target: opt.TargetName,
    user: Annotated[str, typer.Option("--user", help="id of the user in the data")],
    item: Annotated[
        str | None,
        typer.Option("--item", help="catalog id of the item; default: first item of the list"),
    ] = None,
    estimator: Annotated[
        Literal["linear", "lasso", "loo", "shapley", "kernelshap", "exact"],
        typer.Option(help="how effects are estimated"),
    ] = "linear",
    budget: Annotated[int | None, typer.Option(min=2, help="evaluations of the estimator")] = None,
    spans: Annotated[
        int, typer.Option(min=1, help="number of latest history items with separate effects")
    ] = 10,
    captum: Annotated[
        Literal["FeatureAblation", "ShapleyValueSampling", "KernelShap"] | None,
        typer.Option(help="compare with this method of Captum too"),
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of the random masks")] = 0,
    html: Annotated[Path | None, typer.Option("--html", help="also write a page")] = None,
    data: opt.Data = None,
    catalog: opt.Catalog = None,
    prompts: opt.Prompts = None,
    target_card: opt.TargetCard = None,
    domain: opt.Domain = None,
    online: opt.Online = False,
    allow_code: opt.AllowCode = False,
    allow_outside: opt.AllowOutside = False,
    timing: Annotated[
        bool,
        typer.Option(
            "--timing", help="print the seconds of loading, of the list and of the explanation"
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Explain one item of a user's list, with the faithfulness card of the explanation."""
    from auditkit.run.explain import ExplainOptions, explain_user
    from auditkit.run.explanation_view import view_of
    from auditkit.run.options import AuditOptions
    from auditkit.run.recipe import read_recipe
    from auditkit.shipped_recipes import find_recipe

    recipe = read_recipe(find_recipe("quick", kind="audit"), allow_outside=allow_outside)
    if data:
        recipe = recipe.model_copy(update={"data": data})
    options = AuditOptions(
        catalog=catalog, prompts=prompts, target_card=target_card, domain=domain, online=online,
        allow_code=allow_code, allow_outside=allow_outside,
    )  # fmt: skip
    how = ExplainOptions(
        item_id=item,
        estimator=estimator,
        budget=budget,
        n_spans=spans,
        seed=seed,
        captum=() if captum is None else (captum,),
    )
    found = explain_user(target, user, recipe, how=how, options=options)
    view = view_of(found)
    if html is not None:
        _write_page(view, html)
    seconds = found.seconds if timing else {}
    typer.echo(_as_json(view, seconds) if as_json else _as_text(view, seconds))


def _write_page(view: ExplanationView, path: Path) -> None:
    from auditkit.reporting.pages.explanation_page import render_explanation
    from auditkit.serialization.atomic_files import write_atomically

    write_atomically(path, render_explanation(view))


def _as_json(view: ExplanationView, seconds: Mapping[str, float]) -> str:
    effects = [
        {"span": row.label, "effect": row.value, "low": row.low, "high": row.high}
        for row in view.effects
    ]
    card = {row.name: row.result for row in view.card}
    return json.dumps(
        {
            "target": view.target,
            "user": view.user,
            "item": view.item,
            "rank": view.rank,
            "unit": view.unit,
            "effects": effects,
            "card": card,
            "listed": view.listed,
            "by_token": _by_token(view),
            "facts": dict(view.facts),
            "notes": view.notes,
            **({"seconds": dict(seconds)} if seconds else {}),
        }
    )


def _by_token(view: ExplanationView) -> dict[str, object] | None:
    if view.heat_map is None:
        return None
    rows = view.heat_map.rows
    return {
        "tokens": view.heat_map.columns,
        "spans": [row.label for row in rows],
        "effects": [row.values for row in rows],
    }


def _as_text(view: ExplanationView, seconds: Mapping[str, float]) -> str:
    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import terminal_text

    rank = "not in the list" if view.rank is None else f"rank {view.rank}"
    listed = [f"  {i}. {terminal_text(title)}" for i, title in enumerate(view.listed, start=1)]
    card = [("test", "result", "meaning")]
    card += [(row.name, row.result, terminal_text(row.meaning)) for row in view.card]
    facts = [f"{name}: {value}" for name, value in view.facts]
    took = [f"{name} {value:.2f} s" for name, value in seconds.items()]
    parts = [
        f"list of user {terminal_text(view.user)} by {terminal_text(view.target)}:",
        *listed,
        "",
        f"effects on {terminal_text(view.item)} ({rank}), {view.unit} [95 % interval]:",
        _bars(view),
        "",
        *([aligned(card), ""] if view.card else []),
        *facts,
        *(f"note: {terminal_text(note)}" for note in view.notes),
        *([f"wall time: {', '.join(took)}"] if took else []),
    ]
    return "\n".join(parts)


def _bars(view: ExplanationView) -> str:
    """A signed bar per span: negative effects to the left of the axis."""
    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import terminal_text

    largest = max((abs(row.value or 0.0) for row in view.effects), default=0.0) or 1.0
    rows = []
    for row in view.effects:
        value = row.value or 0.0
        width = round(abs(value) / largest * _BAR)
        bar = "#" * width
        drawn = f"{'' if value > 0 else bar:>{_BAR}}|{bar if value > 0 else '':<{_BAR}}"
        interval = "" if row.low is None else f"[{row.low:+.3f}, {row.high:+.3f}]"
        rows.append((f"  {value:+.3f}", interval, drawn, terminal_text(row.label)))
    return aligned(rows) if rows else "  none"
