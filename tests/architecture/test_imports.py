"""Who may import whom, read from the source; imports for type checkers do not count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "auditkit"
FILES = sorted(PACKAGE.rglob("*.py"))

# Each layer may import itself and every layer to its left.
LAYERS = (
    (
        "types",
        "errors",
        "canonical",
        "atomic_files",
        "seeding",
        "visible",
        "redaction",
        "network",
        "target_names",
    ),
    (
        "stats",
        "metrics",
        "registry",
        "runlog",
        "strict_yaml",
        "yaml_faults",
        "run_manifest",
        "catalog",
    ),
    ("recommenders", "engine", "perturb"),
    ("probes",),
    (
        "recipe",
        "shipped_recipes",
        "audited_data",
        "sampling",
        "run_description",
        "run_identity",
        "runner",
        "planning",
    ),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
JUDGES = ("policy", "decision", "report", "gating")
HEAVY = {
    "torch": (
        "engine/",
        "recommenders/cluster.py",
        "recommenders/hf.py",
        "recommenders/lists.py",
        "training/",
        "probes/explanation.py",
    ),
    "transformers": ("engine/", "recommenders/hf.py", "recommenders/smollm2.py", "training/"),
    "textattack": ("perturb/search.py",),
    "captum": ("probes/explanation.py",),
    "opacus": ("training/privacy.py", "training/private_run.py"),
    "peft": ("recommenders/hf.py", "training/"),
    "httpx": ("recommenders/server.py", "catalog/sparql.py"),
    "duckdb": ("catalog/duckdb_graph.py", "catalog/tables.py"),
    "pyoxigraph": ("catalog/rdf_file.py",),
    "neo4j": ("catalog/neo4j_graph.py",),
    "fairlearn": ("metrics/groups.py",),
    "sklearn": ("metrics/leak.py",),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def part(path: Path) -> str:
    """The top-level module or folder that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        yield from statements(node)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> frozenset[str]:
    tree = tree_of(path)
    found = {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "importlib.import_module"
        and isinstance(node.args[0], ast.Constant)
    }
    for node in statements(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            if node.module == "auditkit":
                found |= {f"auditkit.{alias.name}" for alias in node.names}
    return frozenset(found)


def own_parts(path: Path) -> set[str]:
    return {module.split(".")[1] for module in imported(path) if module.startswith("auditkit.")}


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in RANK], ids=name_of)
def test_module_imports_only_from_its_layer_and_those_below(path):
    allowed = {name for name, rank in RANK.items() if rank <= RANK[part(path)]}
    assert own_parts(path) <= allowed


@pytest.mark.parametrize("path", [p for p in FILES if part(p).startswith(JUDGES)], ids=name_of)
def test_gate_and_report_know_nothing_of_models_and_probes(path):
    assert not own_parts(path) & {
        "recommenders",
        "engine",
        "perturb",
        "probes",
        "training",
        "runner",
        "cli",
    }
    assert not {module.split(".")[0] for module in imported(path)} & set(HEAVY)


@pytest.mark.parametrize("path", [p for p in FILES if part(p) == "training"], ids=name_of)
def test_training_knows_nothing_of_probes_and_the_runner(path):
    assert not own_parts(path) & {"probes", "runner", "api", "cli", "report", "gating"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_command_line_imports_training(path):
    if part(path) not in ("training", "cli"):
        assert "training" not in own_parts(path)


@pytest.mark.parametrize("package", list(HEAVY))
def test_heavy_package_stays_in_its_files(package):
    users = [
        name_of(path)
        for path in FILES
        if package in {module.split(".")[0] for module in imported(path)}
    ]
    assert users
    assert [name for name in users if not name.startswith(HEAVY[package])] == []


@pytest.mark.parametrize("path", [p for p in FILES if part(p) == "cli"], ids=name_of)
def test_command_imports_nothing_but_itself_and_typer_at_module_level(path):
    modules = set()
    for node in tree_of(path).body:
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    assert all(m.startswith("auditkit.cli") for m in modules if m.startswith("auditkit"))
    assert not {m.split(".")[0] for m in modules} & {
        *HEAVY,
        "numpy",
        "scipy",
        "pydantic",
        "rich",
        "yaml",
    }


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_exceptions_are_caught_broadly_only_where_they_are_recorded(path):
    broad = [
        node
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) == "Exception")
    ]
    assert len(broad) <= {"runner.py": 1, "recommenders/asking.py": 1}.get(name_of(path), 0)
