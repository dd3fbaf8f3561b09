"""Command line: every command parses, calls one library function, prints, and exits.

Nothing heavy is imported at module level.
"""

from __future__ import annotations

import codecs
import io
import os
import signal
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

    Errors of auditkit and of the operating system are printed as short messages. Any other
    exception is a bug and is printed with its traceback. Secrets in the environment are never
    printed.
    """
    from auditkit.security.redaction import redact_process, redacted_streams

    _escape_what_cannot_be_encoded()
    if arguments is None:  # the process ends with this command, and its last words count too
        redact_process()
        _run(sys.argv[1:])
    else:
        with redacted_streams():
            _run(list(arguments))


def _escape_what_cannot_be_encoded() -> None:
    """Print characters that the output encoding lacks as escapes instead of raising an error.

    A process without a locale has an ASCII stream. click would bypass the stream that redacts
    secrets to write UTF-8 to it, so the stream itself is set to UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            encoding = "utf-8" if ascii_only else stream.encoding
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


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
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # click exits with 1 then
            _leave_closed_pipe()
        raise


def _leave_closed_pipe() -> None:
    """End as after SIGPIPE: without a message, and with an exit code that no verdict has.

    The reader, such as `head`, has closed the pipe, so the rest of the output is dropped.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    raise SystemExit(128 + signal.SIGPIPE)
