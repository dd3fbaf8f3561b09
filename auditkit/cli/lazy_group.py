"""Command group that imports a command only when it is called.

Building every command takes longer than starting the interpreter and typer together, and `--help`
needs only the name and one line of each command.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["COMMANDS", "LazyGroup"]

# Name: module with a `register` function, and the first sentence of the command's help.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo", "Get data, audit a recommender and gate it."),
    "init": ("init", "Draft the files of an audit from your tables."),
    "doctor": ("doctor", "Show versions, memory, disk and extras; try TARGET if given."),
    "audit": ("audit", "Measure a recommender and write the report."),
    "explain": (
        "explain",
        "Explain one item of a user's list, with the faithfulness card of the explanation.",
    ),
    "gate": ("gate", "Exit 0 if the audit meets the policy, 10 if not, 11 if inconclusive."),
    "report": ("report", "Write report.html, summary.md and findings.csv of a run folder."),
    "diff": (
        "runs.diff",
        "Compare two runs: responses are paired by request, metrics by user or other unit.",
    ),
    "replay": ("runs.replay", "Send recorded requests of a run again."),
    "verify": ("verify", "Check the evidence and the outputs of a run folder."),
    "audit-data": (
        "audit_data",
        "Check training data: leakage across the split, impossible values, balance, facts in "
        "texts.",
    ),
    "check-users": (
        "runs.check_users",
        "Exit 10 if simulated sessions differ from real sessions, 0 if no difference was found.",
    ),
    "train": ("train", "Train a recommender, or resume an interrupted training."),
    "list": ("listing", "List probes, metrics or recipes with their ids."),
    "data": ("data", "Get public data and models without a model hub."),
    "catalog": ("catalog", "Build catalogs, link titles and check claims."),
    "privacy": (
        "privacy",
        "Compute epsilon and noise of private training, and the lower bound of a canary audit.",
    ),
    "recipes": ("listing", "List and copy the recipes and policies of auditkit."),
}


class LazyGroup(TyperGroup):
    """Command group that imports a command of `COMMANDS` only when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return a command; None if no command has this name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"auditkit.cli.{COMMANDS[cmd_name][0]}")
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        module.register(app)
        return typer.main.get_group(app).commands[cmd_name]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands from `COMMANDS`, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])
