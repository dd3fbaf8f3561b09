"""Record of tool calls: name, arguments, result and order.

Calls reach auditkit in two ways. An assistant that gets its tools from auditkit calls them in its
turn, auditkit executes the calls, and the results are in the messages of the next request. An
assistant with its own tools returns the calls with their results in the `trace` of its response.
Both are read as `ToolRecord`, and both are in the evidence, so a recomputation measures the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import JsonValue

from auditkit.serialization.canonical_json import canonical_json, read_json
from auditkit.types import Response

__all__ = ["Failure", "ToolError", "ToolLog", "ToolRecord", "recorded_calls"]

Failure = Literal["unknown_tool", "bad_arguments", "failed", "not_found"]


class ToolError(Exception):
    """A tool cannot answer. The message of the error is the result that the assistant sees.

    Args:
        failure: `failed` for a failure of the tool, `not_found` for an unknown item,
            `bad_arguments` for invalid arguments.
    """

    def __init__(self, message: str, *, failure: Failure = "failed") -> None:
        super().__init__(message)
        self.failure: Failure = failure


@dataclass(frozen=True)
class ToolRecord:
    """One call of a tool.

    Attributes:
        order: position among the calls of its turn, from 0.
        name: name of the tool. arguments: JSON text as the assistant wrote it.
        result: JSON text, or any text for a tool outside auditkit; None if the call was not
            executed.
        failure: why the call failed; None if it succeeded.
    """

    order: int
    name: str
    arguments: str
    result: str | None = None
    failure: Failure | None = None

    @property
    def values(self) -> Mapping[str, Any]:
        """The arguments by name; empty if they are not a JSON object."""
        try:
            found = read_json(self.arguments or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class ToolLog:
    """Calls Python functions by name, and records every call in order.

    Args:
        tools: functions with keyword arguments, by name. A function that cannot answer raises
            `ToolError`; other exceptions are not caught.

    Attributes:
        records: records of all calls so far.

    Example:
        >>> log = ToolLog({"double": lambda n: 2 * n})
        >>> log.call("double", '{"n": 4}').result
        '8'
        >>> log.trace()
        ({'name': 'double', 'arguments': '{"n": 4}', 'result': '8'},)
    """

    def __init__(self, tools: Mapping[str, Callable[..., object]]) -> None:
        self._tools = dict(tools)
        self.records: list[ToolRecord] = []

    def call(self, name: str, arguments: str) -> ToolRecord:
        """Execute and record one call; an error becomes the result of the call.

        Args:
            arguments: a JSON object as text.
        """
        record = self._executed(ToolRecord(len(self.records), name, arguments))
        self.records.append(record)
        return record

    def trace(self) -> tuple[dict[str, JsonValue], ...]:
        """The calls as entries of `Response.trace`."""
        return tuple(
            {"name": one.name, "arguments": one.arguments, "result": one.result}
            for one in self.records
        )

    def _executed(self, record: ToolRecord) -> ToolRecord:
        function = self._tools.get(record.name)
        if function is None:
            known = ", ".join(self._tools)
            return _failed(
                record, f"there is no tool {record.name!r}, only {known}", "unknown_tool"
            )
        try:
            arguments = read_json(record.arguments or "{}")
            if not isinstance(arguments, dict):
                return _failed(record, "the arguments are not a JSON object", "bad_arguments")
            inspect.signature(function).bind(**arguments)
        except (TypeError, ValueError) as error:
            return _failed(record, str(error), "bad_arguments")
        try:
            return replace(record, result=canonical_json(function(**arguments)))
        except ToolError as error:
            return _failed(record, str(error), error.failure)


def _failed(record: ToolRecord, message: str, failure: Failure) -> ToolRecord:
    return replace(record, result=canonical_json({"error": message}), failure=failure)


def recorded_calls(response: Response) -> tuple[ToolRecord, ...]:
    """The tool calls in the trace of a response, in order; other entries of the trace are
    ignored.
    """
    entries = [one for one in response.trace if isinstance(one.get("name"), str)]
    return tuple(
        ToolRecord(
            order, str(one["name"]), _text(one.get("arguments")) or "", _text(one.get("result"))
        )
        for order, one in enumerate(entries)
    )


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else canonical_json(value)
