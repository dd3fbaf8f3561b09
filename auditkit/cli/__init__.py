"""Command line: every command parses, calls one library function, prints, and exits.

Nothing heavy is imported at module level.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from auditkit.cli.lazy_group import LazyGroup

__all__ = ["app", "main"]

app = typer.Typer(
    name="auditkit",
    cls=LazyGroup,
    help="Audit any LLM recommender: hallucination, fairness, robustness, privacy, explanations.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
# Without a callback, typer rejects an app that has no commands.
app.callback()(lambda: None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code.

    Deliberate errors and errors of the operating system are printed in two sentences. Anything else
    is a bug of auditkit and keeps its traceback. Secrets of the environment are never printed.
    """
    from auditkit.security.redaction import redact_process, redacted_streams

    if arguments is None:  # the process ends with this command, and its last words count too
        redact_process()
        _run(sys.argv[1:])
    else:
        with redacted_streams():
            _run(list(arguments))


def _run(arguments: list[str]) -> None:
    from auditkit.errors import AuditkitError
    from auditkit.security.redaction import Redaction

    try:
        # Calling the app itself would replace `sys.excepthook`.
        typer.main.get_command(app)(arguments, obj=arguments)
    except AuditkitError as error:
        from auditkit.security.escaping import terminal_text

        if os.environ.get("AUDITKIT_DEBUG"):
            raise
        for line in Redaction().text(str(error)).splitlines():
            typer.echo(f"auditkit: {terminal_text(line, limit=2000)}", err=True)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        from auditkit.security.escaping import terminal_text

        if os.environ.get("AUDITKIT_DEBUG"):
            raise
        what = terminal_text(error.strerror or str(error) or type(error).__name__)
        place = f" at '{terminal_text(str(error.filename))}'" if error.filename else ""
        typer.echo(
            f"auditkit: the system reports '{what}'{place}. Check the path, its permissions and "
            "the free space.",
            err=True,
        )
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
