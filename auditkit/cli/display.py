"""Progress on stderr: a bar on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from auditkit.run.options import Progress
    from auditkit.training.loop import StepReport

__all__ = ["audit_progress", "training_progress"]

_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def audit_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Yield callbacks that show the current probe and the number of finished requests."""
    from auditkit.run.options import Progress

    if quiet:
        yield Progress()
        return
    done = 0
    if not sys.stderr.isatty():
        step = ""

        def building(what: str, n: int) -> None:
            nonlocal step
            if what != step:
                step = what
                typer.echo(what, err=True)

        def line(probe_id: str, number: int, of: int) -> None:
            typer.echo(f"[{number}/{of}] {probe_id}", err=True)

        yield Progress(catalog=building, probe=line)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    from auditkit.security.escaping import terminal_text

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[requests]} requests", markup=False),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, requests=0)

        def probe(probe_id: str, number: int, of: int) -> None:
            bar.update(task, description=probe_id, completed=number - 1, total=of)

        def requests(count: int) -> None:
            nonlocal done
            done += count
            bar.update(task, requests=done)

        def catalog(what: str, n: int) -> None:
            bar.update(task, description=terminal_text(what))

        yield Progress(catalog=catalog, probe=probe, requests=requests)


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
