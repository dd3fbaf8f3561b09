"""The cache that the audits of these tests read their data from."""

from __future__ import annotations

import pytest
from small_world import write_cache


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITKIT_CACHE", str(write_cache(tmp_path_factory.mktemp("w") / "cache")))
        yield
