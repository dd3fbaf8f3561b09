"""Run folders for the report tests, written once per session and never changed."""

from __future__ import annotations

import pytest
from run_folder import write_policy, write_run

from auditkit.reporting import write_report


@pytest.fixture(scope="session")
def judged_run(tmp_path_factory):
    """A run with hostile text everywhere, judged and reported."""
    folder = tmp_path_factory.mktemp("judged")
    run = write_run(folder / "run", policy=write_policy(folder))
    write_report(run)
    return run
