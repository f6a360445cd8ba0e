"""The assistant's server on HTTP: on loopback alone, and for nobody but who has the token.

The token goes in a header, so that it stands in no address, history or log; it is made anew with every start and said once,
by the command. Requests without it get 401 and no more, whatever they ask for.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from typing import TYPE_CHECKING, Any

from refine.errors import ReviewError
from refine.ui.mcp import server_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from refine.ui.assistant import Assistant

_HOST = "127.0.0.1"
_PATH = "/mcp"


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """An application that answers nobody without the token.

    Args:
        app: What is served.
        token: What requests have in their header, ``Authorization: Bearer <token>``.
    """
    from starlette.responses import Response

    needed = f"Bearer {token}".encode()

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if scope["type"] == "http" and len(given) == 1 and hmac.compare_digest(given[0], needed):
            await app(scope, receive, send)
            return
        if scope["type"] == "http":
            await Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})(scope, receive, send)

    return guard


class HttpServer:
    """A running server of an assistant.

    Args:
        assistant: Whose calls become tools.
        port: Port on loopback; 0 for any that is free.

    Attributes:
        url: Where it is served.
        token: What requests need in their header.

    Raises:
        ReviewError: The port is taken, or the package ``mcp`` is not installed.
    """

    def __init__(self, assistant: Assistant, port: int = 0) -> None:
        served = server_of(assistant)
        self.token = secrets.token_urlsafe(32)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((_HOST, port))
            self._socket.listen(64)
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise ReviewError(f"port {port} can't be had: {error}; --http 0 takes any that is free") from None
        self.url = f"http://{_HOST}:{self._socket.getsockname()[1]}{_PATH}"
        self._app = guarded(served.streamable_http_app(streamable_http_path=_PATH, host=_HOST), self.token)

    def run(self) -> None:
        """Serves until Ctrl-C."""
        import uvicorn

        options: dict[str, Any] = {"log_level": "error", "access_log": False, "server_header": False}
        uvicorn.Server(uvicorn.Config(self._app, **options)).run(sockets=[self._socket])
