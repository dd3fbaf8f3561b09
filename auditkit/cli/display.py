"""Progress on stderr: a bar on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from auditkit.recommenders.execution.stop_rule import StopRule
    from auditkit.recommenders.loading.target_card import Price
    from auditkit.run.options import Progress
    from auditkit.training.loop import StepReport

__all__ = ["audit_progress", "busy", "training_progress"]

_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def audit_progress(
    *, quiet: bool = False, stop: StopRule | None = None, price: Price | None = None
) -> Iterator[Progress]:
    """Yield callbacks that show the current probe, the number of finished requests, the time left
    in the current step, and the money spent.

    Args:
        stop: counts the tokens of the run. price: price of a million tokens. The cost is shown if
            both are given.
    """
    from auditkit.cli.step_progress import StepProgress
    from auditkit.run.options import Progress

    if quiet:
        yield Progress()
        return
    step = StepProgress(stop, price)
    if not sys.stderr.isatty():
        building_step = ""

        def building(what: str, n: int) -> None:
            nonlocal building_step
            if what != building_step:
                building_step = what
                typer.echo(what, err=True)

        def line(probe_id: str, number: int, of: int) -> None:
            so_far = f" (so far {step.text()})" if number > 1 else ""
            typer.echo(f"[{number}/{of}] {probe_id}{so_far}", err=True)

        yield Progress(catalog=building, probe=line, requests=step.add)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from auditkit.security.escaping import terminal_text

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[step]}", markup=False),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, step="")

        def probe(probe_id: str, number: int, of: int) -> None:
            bar.update(task, description=probe_id, completed=number - 1, total=of)

        def requests(done: int, left: int) -> None:
            step.add(done, left)
            bar.update(task, step=step.text())

        def catalog(what: str, n: int) -> None:
            bar.update(task, description=terminal_text(what))

        yield Progress(catalog=catalog, probe=probe, requests=requests)


@contextlib.contextmanager
def busy(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show on a terminal that a task of unknown length is running."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True, markup=False).status(what):
        yield


@contextlib.contextmanager
def training_progress(name: str, *, quiet: bool = False) -> Iterator[Callable[[StepReport], None]]:
    """Yield a callback that shows steps, loss and CPU seconds."""
    if quiet:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        last = time.monotonic()

        def line(report: StepReport) -> None:
            nonlocal last
            if report.step == report.steps or time.monotonic() - last > _SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                typer.echo(f"{name}: {_step_line(report)}", err=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"training {name}", total=None)
        yield lambda report: bar.update(
            task,
            description=f"{name}: {_step_line(report)}",
            completed=report.step,
            total=report.steps,
        )


def _step_line(report: StepReport) -> str:
    loss = "" if report.loss is None else f", loss {report.loss:.3f} nats per token"
    return f"step {report.step}/{report.steps}{loss}, {report.cpu_seconds:.0f} CPU s"
