"""Who may import whom, read from the source; imports inside functions count, and for types too."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import auditkit

PACKAGE = Path(__file__).resolve().parents[2] / "auditkit"
FILES = sorted(PACKAGE.rglob("*.py"))

# Each layer may import itself and every layer above it in this list.
LAYERS = (
    ("errors", "seeding", "serialization", "security", "shipped_recipes", "domains"),
    ("types", "evidence", "registry", "engine", "demo"),
    ("stats",),
    ("metrics", "catalog", "policy", "privacy", "comparison"),
    ("claims", "recommenders", "perturb", "reporting"),
    ("attribution", "conversations"),
    ("probes", "training", "gating", "drafting", "data_audit"),
    ("run",),
    ("api", "cli", "testing"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Parts that run where no model library is installed, or that know less than their layer allows.
LIGHT = {
    *("errors", "evidence", "registry", "security", "seeding", "serialization", "stats", "types"),
    "policy",
}
ONLY = {
    "engine": {"engine", "errors", "seeding"},
    "domains": {"domains", "errors", "serialization"},
    "policy": LIGHT,
    "comparison": LIGHT | {"comparison"},
    "reporting": LIGHT | {"comparison", "reporting"},
    "gating": LIGHT | {"reporting"},
    "testing": LIGHT | {"gating", "shipped_recipes", "testing"},
}
# The two places that record whatever a probe or a recommender raises.
RECORDED = {
    "recommenders/adapters/file_checks.py": 1,
    "recommenders/adapters/tokenizer.py": 1,
    "recommenders/execution/executor.py": 1,
    "run/runner.py": 1,
}
MOST_FILES, MOST_ROOT_MODULES = 24, 10
HEAVY = {
    "torch": (
        "engine/",
        "recommenders/loading/ray_pool.py",
        "recommenders/adapters/",
        "training/",
        "attribution/captum_methods.py",
        "attribution/hidden_states.py",
        "attribution/integrated_gradients.py",
        "attribution/random_weights.py",
    ),
    "transformers": (
        "engine/",
        "recommenders/adapters/",
        "training/",
        "attribution/random_weights.py",
    ),
    "textattack": ("perturb/search.py",),
    "captum": ("attribution/captum_methods.py", "attribution/integrated_gradients.py"),
    "opacus": ("privacy/accounting.py", "training/dp/"),
    "peft": ("recommenders/adapters/adapter.py", "training/"),
    "flwr": ("training/federated/", "training/federated_training.py"),
    "httpx": ("recommenders/remote/http_client.py", "catalog/sources/sparql_endpoint.py"),
    "duckdb": ("catalog/graph/duckdb_store.py", "catalog/sources/table_batches.py"),
    "pyoxigraph": ("catalog/sources/rdf_file.py",),
    "neo4j": ("catalog/sources/neo4j.py",),
    "fairlearn": ("metrics/groups.py",),
    "sklearn": ("metrics/attribute_leakage.py",),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def part(path: Path) -> str:
    """The top-level module or folder that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


MODULES = {module_of(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(tree: ast.AST, *, types: bool) -> Iterator[ast.AST]:
    """Every node of a tree; without `types` those that only type checkers see are left out."""
    for node in ast.iter_child_nodes(tree):
        if types or not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            yield from statements(node, types=types)


@cache
def imported(path: Path, *, types: bool = True) -> frozenset[str]:
    """Every module that a file imports, anywhere in it."""
    found = set()
    for node in statements(tree_of(path), types=types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or {node.module or ""}
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) == "importlib.import_module"
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value))
    return frozenset(found)


def own_parts(path: Path) -> set[str]:
    return {module.split(".")[1] for module in imported(path) if module.startswith("auditkit.")}


def folder_of(module: str) -> str:
    path = MODULES[module]
    return module if path.parent == PACKAGE else str(path.parent.relative_to(PACKAGE))


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in RANK], ids=name_of)
def test_module_imports_only_from_its_layer_and_those_below(path):
    allowed = {name for name, rank in RANK.items() if rank <= RANK[part(path)]}
    assert own_parts(path) <= ONLY.get(part(path), allowed)


def test_every_part_of_the_package_has_a_layer():
    assert {part(path) for path in FILES} - {"__init__", "__main__"} == RANK.keys()


def test_no_import_cycle_among_files():
    edges = {
        module: {other for other in imported(path) if other in MODULES and other != module}
        for module, path in MODULES.items()
    }
    TopologicalSorter(edges).prepare()


def test_no_import_cycle_among_folders():
    edges: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        home = folder_of(module)
        others = {folder_of(other) for other in imported(path) if other in MODULES}
        edges.setdefault(home, set()).update(others - {home})
    TopologicalSorter(edges).prepare()


def test_a_cycle_would_be_found():
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


def test_folders_stay_small_enough_to_read():
    files = Counter(path.parent for path in FILES)
    crowded = {str(folder): n for folder, n in files.items() if n > MOST_FILES}
    assert crowded == {}
    assert files[PACKAGE] <= MOST_ROOT_MODULES


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in ONLY], ids=name_of)
def test_gate_and_report_use_no_model_library(path):
    if part(path) != "engine":
        assert not {module.split(".")[0] for module in imported(path)} & set(HEAVY)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_command_line_and_the_api_import_training(path):
    if part(path) not in ("training", "cli", "api"):
        assert "training" not in own_parts(path)


@pytest.mark.parametrize("path", [p for p in FILES if part(p) == "training"], ids=name_of)
def test_training_knows_nothing_of_probes(path):
    assert not own_parts(path) & {"probes", "gating", "reporting"}


@pytest.mark.parametrize("package", list(HEAVY))
def test_heavy_package_stays_in_its_files(package):
    users = [
        name_of(path)
        for path in FILES
        if package in {module.split(".")[0] for module in imported(path, types=False)}
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
    assert len(broad) <= RECORDED.get(name_of(path), 0)


# What docs/reference offers to users and the package itself does not call.
OFFERED = {
    "Probe", "__getattr__", "assert_gate", "counterfactual_test", "dcg_exposure", "exposure_at_k",
    "exposure_lift", "group_utility", "leave_one_out", "mean_rank", "ndcg_at_k",
    "queries_per_success", "rank_shift", "read_records", "tail_share", "write_records",
}  # fmt: skip


def test_every_function_and_class_is_used_by_the_package():
    trees = [tree_of(path) for path in FILES]
    used = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {n.attr for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    registry = (PACKAGE / "registry.yaml").read_text(encoding="utf-8")
    public = set(auditkit.__all__)
    unused = {
        node.name
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and node.name not in used | public
        and f":{node.name}" not in registry
    }
    assert unused == OFFERED
