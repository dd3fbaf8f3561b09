"""Conversations with an assistant: scenarios, the loop of turns, and tools that it may call."""

from auditkit.conversations.scenario import NeededCall, Scenario, Turn
from auditkit.conversations.tool_log import ToolError, ToolLog, ToolRecord

__all__ = ["NeededCall", "Scenario", "ToolError", "ToolLog", "ToolRecord", "Turn"]
