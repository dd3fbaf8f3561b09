"""`auditkit check-users`: compare simulated users with a log of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditkit.metrics.realism import Realism

__all__ = ["register"]

_EXIT_REJECTED = 10


def register(app: typer.Typer) -> None:
    """Add the command `check-users` to the application."""
    app.command("check-users")(check_users)


def check_users(
    real: Annotated[Path, typer.Argument(help="log of real sessions, JSON lines")],
    simulated: Annotated[Path, typer.Argument(help="log of simulated sessions, JSON lines")],
    *,
    alpha: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="probability of a false alarm")
    ] = 0.05,
    draws: Annotated[int, typer.Option(min=999, help="number of random permutations")] = 1_999,
    seed: Annotated[int, typer.Option(min=0, help="seed of the permutations")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Exit 10 if simulated sessions differ from real sessions, 0 if no difference was found."""
    from auditkit.catalog.datasets.session_logs import read_sessions
    from auditkit.cli.display import busy
    from auditkit.metrics.realism import Session
    from auditkit.metrics.realism import check_users as check
    from auditkit.seeding import generator

    logs = [[Session(*row) for row in read_sessions(path)] for path in (real, simulated)]
    with busy("comparing the sessions"):
        rng = generator(seed, "check-users")
        found = check(logs[0], logs[1], rng=rng, alpha=alpha, draws=draws)
    _show(found, as_json=as_json)
    if found.rejected:
        raise typer.Exit(_EXIT_REJECTED)


def _show(found: Realism, *, as_json: bool) -> None:
    import json

    from auditkit.cli.tables import aligned
    from auditkit.security.escaping import format_number

    if as_json:
        typer.echo(json.dumps(_as_json(found), sort_keys=True))
        return
    rows = [("", "real", "simulated", "difference", "distance", "p adjusted")]
    for name, one in found.differences.items():
        own, other = ("" if n is None else format_number(n) for n in (one.real, one.simulated))
        ends = one.difference
        gap = f"[{format_number(ends.low)}, {format_number(ends.high)}]" if ends else ""
        rows.append((name, own, other, gap, f"{one.distance:.3f}", f"{one.p_adjusted:.4f}"))
    typer.echo(aligned(rows))
    if found.rejected:
        said = "The simulated users behave differently from the real users."
    else:
        said = "No difference was found; this is not proof that the users are realistic."
    typer.echo(
        f"\n{found.n_real:,} real and {found.n_simulated:,} simulated sessions, "
        f"p = {found.p:.4f}, alpha = {found.alpha}. {said}"
    )


def _as_json(found: Realism) -> dict[str, object]:
    return {
        "rejected": found.rejected,
        "p": found.p,
        "alpha": found.alpha,
        "n_real": found.n_real,
        "n_simulated": found.n_simulated,
        "differences": {
            name: {
                "distance": one.distance,
                "p_adjusted": one.p_adjusted,
                "real": one.real,
                "simulated": one.simulated,
                "low": one.difference.low if one.difference else None,
                "high": one.difference.high if one.difference else None,
            }
            for name, one in found.differences.items()
        },
    }
