"""Progress of `catalog build`: a counter on a terminal, one line per step elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import typer

__all__ = ["build_progress"]


@contextlib.contextmanager
def build_progress(*, quiet: bool = False) -> Iterator[Callable[[str, int], None]]:
    """Yield a callback that shows progress; its arguments are the current step and the number of
    new rows.
    """
    if quiet:
        yield lambda what, n: None
        return
    current = ""
    if not sys.stderr.isatty():

        def line(what: str, n: int) -> None:
            nonlocal current
            if what != current:
                current = what
                typer.echo(what, err=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from auditkit.security.escaping import terminal_text

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[rows]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, done = bar.add_task("starting", total=None, rows=""), 0

        def step(what: str, n: int) -> None:
            nonlocal current, done
            done = done + n if what == current else n
            current = what
            rows = f"{done:,} rows" if done else ""
            bar.update(task, description=terminal_text(what), rows=rows)

        yield step
