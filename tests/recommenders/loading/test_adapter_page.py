"""The adapter that the documentation shows works as it stands there."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from run_probe import target_for
from small_world import world

from auditkit.errors import TargetUnavailable
from auditkit.recommenders.loading.load import load_recommender
from auditkit.types import Request

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "add-an-adapter.md").read_text("utf-8")


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def install(folder, monkeypatch, *, source=None, name="shelf-adapter"):
    (entries,) = tomllib.loads(block("toml"))["project"]["entry-points"].items()
    group, handled = entries
    lines = [f"[{group}]", *(f"{kind} = {path}" for kind, path in handled.items())]
    (folder / "shelf_adapter.py").write_text(source or block("python"))
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "shelf_adapter", raising=False)


@pytest.fixture
def films(tmp_path):
    path = tmp_path / "films.txt"
    path.write_text("Toy Story (1995)\nNo Such Film (1890)\n", encoding="utf-8")
    return path


def test_adapter_of_the_page_answers_an_audit(tmp_path, monkeypatch, films):
    install(tmp_path, monkeypatch)
    loaded = load_recommender(f"shelf:{films}", dataset=world())
    (response,) = target_for(loaded.recommender, tmp_path / "run").recommend([Request(k=2)])
    assert response.status == "ok"
    assert [item.raw for item in response.items] == films.read_text("utf-8").splitlines()
    assert "shelf-adapter 1.2" in loaded.notes[0]


def test_adapter_of_the_page_has_at_most_forty_lines():
    assert len((block("python") + block("toml")).splitlines()) <= 40


def test_error_of_an_adapter_reaches_the_user(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    with pytest.raises(TargetUnavailable, match="Give a text file of titles"):
        load_recommender("shelf:none.txt", dataset=world())


def test_adapter_that_cannot_be_imported_names_its_package(tmp_path, monkeypatch, films):
    install(tmp_path, monkeypatch, source="import no_such_module_anywhere")
    with pytest.raises(TargetUnavailable, match=r"shelf-adapter 1\.2 cannot be loaded"):
        load_recommender(f"shelf:{films}", dataset=world())


def test_adapter_that_gives_no_recommender_is_refused(tmp_path, monkeypatch, films):
    install(tmp_path, monkeypatch, source="Shelf = lambda rest, dataset: 3")
    with pytest.raises(TargetUnavailable, match="returned a int"):
        load_recommender(f"shelf:{films}", dataset=world())


def test_two_packages_with_one_adapter_are_refused_together(tmp_path, monkeypatch, films):
    for name in ("shelf-adapter", "other-adapter"):
        (tmp_path / name).mkdir()
        install(tmp_path / name, monkeypatch, name=name)
    with pytest.raises(TargetUnavailable, match=r"other-adapter 1\.2 and shelf-adapter 1\.2"):
        load_recommender(f"shelf:{films}", dataset=world())
