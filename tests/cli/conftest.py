"""The command line as a user calls it."""

from __future__ import annotations

import pytest

from auditkit.cli import main


@pytest.fixture
def call(capsys):
    """Run a command; returns its exit code, and what it printed to stdout and stderr."""

    def command(*words):
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        streams = capsys.readouterr()
        return stopped.value.code or 0, streams.out, streams.err

    return command
