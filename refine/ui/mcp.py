"""A server of the Model Context Protocol over an assistant's calls, on standard input and output."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from refine._version import VERSION
from refine.errors import RefineError, ReviewError
from refine.ui.assistant import Assistant
from refine.utils.extras import load

if TYPE_CHECKING:
    from mcp.server import MCPServer

INSTRUCTIONS = """\
refine narrows a hyperparameter search space round by round, together with a person. Look first: tree, round, analysis, proposal, menu, checks.
Suggest an edit with a reason where you know better than the proposal; the person sees it with its claim, decides, and every suggestion is
scored by what later rounds show (calibration). Ask judge before you call a configuration better: a single run is luck. The best observed value overstates itself: quote winner, not the best trial. Probabilities are
claims about the present evidence, and no more precise than they are written.
"""
LOOKS = ("tree", "round", "analysis", "proposal", "menu", "checks", "winner", "calibration", "preview")
ACTS = ("judge", "suggest", "run", "accept")


def server_of(assistant: Assistant) -> MCPServer:
    """The server.

    Args:
        assistant: Whose calls become tools.

    Raises:
        ReviewError: The extra ``mcp`` is not installed.
    """
    load("mcp.server", "serving an assistant", ReviewError)
    from mcp.server import MCPServer
    from mcp_types import ToolAnnotations

    server = MCPServer("refine", instructions=INSTRUCTIONS, version=VERSION, log_level="WARNING")
    for name in (*LOOKS, *ACTS):
        hint = ToolAnnotations(read_only_hint=name in LOOKS, destructive_hint=False)
        server.tool(name, annotations=hint, structured_output=False)(_said(getattr(assistant, name)))
    return server


def _said(call: Callable[..., str]) -> Callable[..., str]:
    """A call whose refusals reach the client as they are worded; anything else that goes wrong stays unexpected."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(call)
    def answered(*args: Any, **arguments: Any) -> str:
        try:
            return call(*args, **arguments)
        except RefineError as error:
            raise ToolError(str(error)) from None

    return answered
