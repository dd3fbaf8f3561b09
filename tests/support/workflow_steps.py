"""Run the shell steps of a composite GitHub Action here, as the runner would."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


@dataclass
class Workflow:
    """One job: its inputs, event, working folder, and what the steps leave behind."""

    folder: Path
    inputs: Mapping[str, str]
    event: Mapping[str, Any]
    environment: Mapping[str, str]
    ran: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    output: str = ""

    def run(self, action: Path) -> Workflow:
        """Run the steps in order; after a failure only those that ask for it."""
        document = yaml.safe_load(action.read_text(encoding="utf-8"))
        defaults = {name: str(one.get("default", "")) for name, one in document["inputs"].items()}
        assert set(self.inputs) <= set(defaults)
        self.inputs = {**defaults, **self.inputs}
        for name in ("outputs.txt", "summary.txt"):
            (self.folder / name).touch()
        for step in document["runs"]["steps"]:
            self._step(step)
        return self

    @property
    def outputs(self) -> dict[str, str]:
        """What the steps wrote to GITHUB_OUTPUT."""
        lines = (self.folder / "outputs.txt").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def exit_code(self) -> int:
        """That of the first failed step; 0 if none failed."""
        return next((code for code in self.ran.values() if code), 0)

    def _step(self, step: Mapping[str, Any]) -> None:
        condition = str(step.get("if", "success()"))
        if not self.is_true(condition.strip()):
            self.skipped.append(step["name"])
            return
        if "uses" in step:
            self.used[step["name"]] = {k: self._filled(str(v)) for k, v in step["with"].items()}
            return
        assert step["shell"] == "bash"
        own = {name: self._filled(str(value)) for name, value in step.get("env", {}).items()}
        assert "${{" not in step["run"]
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env={
                **self.environment,
                **own,
                "GITHUB_OUTPUT": "outputs.txt",
                "GITHUB_STEP_SUMMARY": "summary.txt",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.ran[step["name"]] = done.returncode
        self.output += done.stdout + done.stderr

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: str(self._value(found[1])), text)

    def is_true(self, condition: str) -> bool:
        """Whether a step with this `if` runs."""
        whole = _EXPRESSION.fullmatch(condition)
        expression = whole[1] if whole else condition
        # A step without a status function runs only if no earlier one failed.
        if not re.search(r"\b(?:success|failure|always|cancelled)\(\)", expression):
            expression = f"success() && ({expression})"
        return bool(self._value(expression))

    def _value(self, expression: str) -> Any:
        """An expression of GitHub, translated to Python."""
        python = expression.strip().replace("&&", " and ").replace("||", " or ")
        python = re.sub(r"!(?!=)", " not ", python).strip()
        python = re.sub(r"(?<!')\btrue\b", "True", python)
        python = re.sub(r"inputs\.([\w-]+)", r"inputs['\1']", python)
        python = re.sub(r"steps\.\w+\.outputs\.([\w-]+)", r"outputs.get('\1', '')", python)
        python = re.sub(r"github\.event((?:\.\w+)+)", r"event('\1')", python)
        known = {
            "inputs": self.inputs,
            "event": self._event,
            "outputs": self.outputs,
            "github": type("github", (), {"event_name": self.event["name"], "token": "t"}),
            "success": lambda: self.exit_code == 0,
            "cancelled": lambda: False,
            "format": str.format,
            "hashFiles": lambda path: "hash" if (self.folder / path).is_file() else "",
        }
        return eval(python, {"__builtins__": {}}, known)

    def _event(self, path: str) -> Any:
        value: Any = self.event
        for name in path.strip(".").split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value
