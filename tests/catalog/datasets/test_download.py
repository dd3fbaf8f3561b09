from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest
import typer
from typer.testing import CliRunner

from auditkit.catalog.datasets import download as datasets
from auditkit.catalog.datasets.download import cache_dir, get_dataset
from auditkit.catalog.datasets.movielens import load_ml100k
from auditkit.cli import data
from auditkit.errors import CatalogError

MOVIES = (
    "1|Toy Story (1995)|01-Jan-1995||http://x|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "2|Land Before Time III: The Time of the Great Giving (1995) (V)|01-Jan-1995||x|0|0|0|1|1|0"
    "|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "3|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
)
FILES = {
    "u.item": MOVIES.encode("latin-1"),
    "u.user": b"1|24|M|technician|85711\n2|53|F|other|94043\n",
    "u.data": b"1\t1\t5\t100\n1\t2\t3\t200\n2\t3\t1\t50\n",
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, request):
    if "network" not in request.keywords and "ml100k" not in request.fixturenames:
        monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def grouplens_zip(tmp_path):
    path = tmp_path / "ml-100k.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-100k/README", "read me")
        for name, content in FILES.items():
            archive.writestr(f"ml-100k/{name}", content)
    return path


def test_cache_folder_follows_the_environment_variable(tmp_path):
    assert cache_dir() == tmp_path / "cache"


def test_an_unknown_data_set_is_named_with_the_nearest_known_one():
    with pytest.raises(CatalogError, match="Did you mean 'ml-100k'"):
        get_dataset("ml-100")


def test_a_grouplens_zip_is_stored_and_read(grouplens_zip):
    folder = get_dataset("ml-100k", source=grouplens_zip)
    dataset = load_ml100k(folder)
    assert folder == cache_dir() / "ml-100k"
    assert dataset.catalog["1"].title == "Toy Story"
    assert dataset.catalog["1"].genres == ("Animation", "Children's", "Comedy")
    assert dataset.catalog["2"].year == 1995
    assert dataset.catalog["2"].title.endswith("Great Giving")
    assert dataset.catalog["3"].year is None
    assert dataset.catalog["3"].genres == ()
    assert dict(dataset.interactions.attributes[1]) == {
        "gender": "female",
        "age": "40 and over",
        "occupation": "unknown",
    }


def test_a_grouplens_folder_is_stored_and_a_second_call_needs_no_source(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    folder = get_dataset("ml-100k", source=tmp_path)
    assert get_dataset("ml-100k") == folder
    assert (folder / "u.data").read_bytes() == FILES["u.data"]


def test_a_folder_of_atomic_files_is_stored(ml100k, tmp_path, monkeypatch):
    original = get_dataset("ml-100k")
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path))
    folder = get_dataset("ml-100k", source=original)
    assert load_ml100k(folder).fingerprint == ml100k.fingerprint


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(CatalogError, match="contains neither"):
        get_dataset("ml-100k", source=tmp_path)


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(CatalogError, match="does not exist"):
        get_dataset("ml-100k", source=tmp_path / "absent.zip")


@pytest.mark.parametrize("name", ["broken.zip", "recbole-1.2.1-py3-none-any.whl"])
def test_a_corrupt_file_is_refused_and_the_cache_is_untouched(tmp_path, grouplens_zip, name):
    folder = get_dataset("ml-100k", source=grouplens_zip)
    broken = tmp_path / name
    broken.write_bytes(grouplens_zip.read_bytes()[:200])
    with pytest.raises(CatalogError, match=r"again"):
        get_dataset("ml-100k", source=broken)
    assert (folder / "u.data").read_bytes() == FILES["u.data"]
    assert sorted(path.name for path in cache_dir().iterdir()) == ["ml-100k"]


def test_members_outside_the_expected_folder_are_refused(tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"../ml-100k/{name}", content)
    with pytest.raises(CatalogError, match="suspicious"):
        get_dataset("ml-100k", source=path)


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch, grouplens_zip):
    monkeypatch.setattr(datasets, "MAX_MEMBER_BYTES", 10)
    with pytest.raises(CatalogError, match="larger than"):
        get_dataset("ml-100k", source=grouplens_zip)


def test_without_a_network_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(CatalogError, match="--from PATH"):
        get_dataset("ml-100k")
    assert not (cache_dir() / "ml-100k").exists()


@pytest.mark.network
def test_the_wheel_is_downloaded_checked_and_never_imported(tmp_path):
    code = (
        "import sys; from auditkit.catalog.datasets.download import get_dataset; "
        "print(get_dataset('ml-100k')); assert 'recbole' not in sys.modules"
    )
    environment = {**datasets.os.environ, "AUDITKIT_CACHE": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in (tmp_path / "ml-100k").iterdir()) == sorted(
        datasets.ATOMIC_FILES
    )


def test_the_command_prints_the_folder_as_json(grouplens_zip):
    app = typer.Typer()
    data.register(app)
    result = CliRunner().invoke(
        app, ["data", "get", "ml-100k", "--from", str(grouplens_zip), "--json"]
    )
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "name": "ml-100k",
        "folder": str(cache_dir() / "ml-100k"),
        "files": ["u.data", "u.item", "u.user"],
    }
    assert "Harper" in result.stderr
