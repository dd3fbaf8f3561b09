"""What is said about machine and installation agrees with the machine and the installation."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import requires, version

from auditkit.run import machine as module
from auditkit.run.machine import describe_machine


def test_versions_cores_memory_and_disk_are_those_of_this_machine(tmp_path):
    machine = describe_machine(tmp_path)
    assert machine.versions["numpy"] == version("numpy")
    assert 0 < machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes is None or machine.memory_bytes > 1 << 28
    free = machine.disk_free_bytes[str(tmp_path.resolve())]
    assert 0 < free <= shutil.disk_usage(tmp_path).total


def test_the_cache_is_listed_with_its_sizes(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    assert describe_machine(tmp_path).cached == ()
    (tmp_path / "cache" / "ml-100k").mkdir(parents=True)
    (tmp_path / "cache" / "ml-100k" / "u.item").write_bytes(b"x" * 100)
    (tmp_path / "cache" / "one").write_bytes(b"x" * 7)
    cached = describe_machine(tmp_path).cached
    assert [(entry.name, entry.n_bytes) for entry in cached] == [("ml-100k", 100), ("one", 7)]


def test_extras_for_users_are_listed_with_all_their_packages(tmp_path):
    extras = {extra.name: extra for extra in describe_machine(tmp_path).extras}
    assert {"hf", "train", "all", "endpoint"} <= set(extras)
    assert not {"dev", "docs", "test"} & set(extras)
    listed = {name for name, _ in extras["train"].installed} | set(extras["train"].missing)
    assert {"torch", "transformers", "accelerate", "opacus"} <= listed  # of hf, and its own
    for extra in extras.values():
        assert all(version(package) == number for package, number in extra.installed)
        assert bool(extra.missing) == bool(extra.command)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    stated = [*requires("auditkit"), 'no-such-package-of-auditkit>=1; extra == "endpoint"']
    monkeypatch.setattr(module, "requires", lambda name: stated)
    extras = {extra.name: extra for extra in describe_machine(tmp_path).extras}
    assert extras["endpoint"].missing == ("no-such-package-of-auditkit",)
    assert extras["endpoint"].command == 'pip install "auditkit[endpoint]"'
    assert ("httpx", version("httpx")) in extras["endpoint"].installed
    assert extras["hf"].missing == ()


def test_limits_of_a_container_count(tmp_path, monkeypatch):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{1 << 20}\n")
    monkeypatch.setattr(module, "_CGROUP", tmp_path)
    machine = describe_machine(tmp_path)
    assert (machine.cores, machine.memory_bytes) == (0.5, 1 << 20)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert describe_machine(tmp_path).cores >= 1
