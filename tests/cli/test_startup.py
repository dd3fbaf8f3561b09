"""Fresh interpreters: the command line starts without the heavy packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from auditkit import cli
from auditkit.cli.lazy_group import COMMANDS, LazyGroup

HEAVY = (
    "torch", "transformers", "textattack", "captum", "opacus", "peft", "fairlearn", "pandas",
    "datasets", "sklearn", "duckdb", "pyoxigraph", "neo4j",
)  # fmt: skip
CHEAP = (*HEAVY, "numpy", "scipy", "pydantic", "yaml", "jinja2", "typer")


def loaded_by(statement: str) -> set[str]:
    return {name for name in modules_loaded_by(statement) if "." not in name}


def modules_loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_command_line_loads_no_heavy_package():
    assert not loaded_by("import auditkit.cli") & set(HEAVY)


def test_gate_and_report_load_no_heavy_package():
    modules = (
        "auditkit.gating, auditkit.reporting, auditkit.policy.decide, auditkit.policy.decision"
    )
    assert not loaded_by(f"import {modules}") & set(HEAVY)


def test_recipes_are_checked_without_heavy_packages():
    code = (
        "from auditkit.run.recipe import read_recipe\n"
        "from auditkit.shipped_recipes import find_recipe\n"
        "[read_recipe(find_recipe(name, kind='audit')) for name in ('quick', 'standard')]"
    )
    loaded = modules_loaded_by(code)
    assert not loaded & set(HEAVY)
    assert "scipy.stats" not in loaded  # a fifth of the start of every audit


def test_importing_the_package_loads_next_to_nothing():
    assert not loaded_by("import auditkit") & set(CHEAP)


def test_public_noun_loads_on_first_use():
    assert "pydantic" in loaded_by("import auditkit\nauditkit.Finding")


def test_help_imports_no_command():
    help_page = "import contextlib, io\nfrom auditkit.cli import app, main\n"
    help_page += "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):"
    code = f"{help_page}\n    main(['--help'])\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in run.stdout.split() if name.startswith("auditkit.cli.")}
    assert loaded == {"auditkit.cli.lazy_group"}


def test_the_table_of_commands_names_them_all_and_says_what_their_help_says():
    for name, (_, words) in COMMANDS.items():
        command = LazyGroup().get_command(None, name)
        assert " ".join(command.help.split()).startswith(words), name
    modules = {module for module, _ in COMMANDS.values()}
    folder = Path(cli.__file__).parent
    registering = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if "def register(" in path.read_text("utf-8")
    }
    assert registering == modules
