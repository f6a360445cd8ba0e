"""The page in a browser: a small server on loopback, open to clients that know its address.

The address holds a random token; requests without the token get an empty 404. Requests must name this host,
and requests that change data must come from the page. The page loads no file of other hosts.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from refine.errors import ReviewError, shown
from refine.review.decision import ACTING
from refine.utils.extras import load

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from refine.ui.web.session import Session

# Bytes of a message: a note and a few hundred edits.
LARGEST = 1_000_000

LONGEST_AUTHOR = 200  # letters of a name that a proxy gives

HOST = "127.0.0.1"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>refine</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="review.css">
</head>
<body class="refine-body">
<div id="refine"></div>
<noscript>The page needs JavaScript. The same from a shell: refine propose, preview and accept.</noscript>
<script type="module" src="page.js"></script>
</body>
</html>
"""

_START = "import review from './review.js';\nreview.mount(document.getElementById('refine'));\n"


def _file(name: str) -> tuple[str, str] | None:
    """Content and media type of a served file; ``None`` for an unknown name."""
    pages = {"": (_PAGE, "text/html"), "page.js": (_START, "text/javascript")}
    kinds = {"review.js": "text/javascript", "review.css": "text/css"}
    if name in kinds:
        return (files("refine.ui.web") / "static" / name).read_text(encoding="utf-8"), kinds[name]
    return pages.get(name)


class Proxy(NamedTuple):
    """A reverse proxy that serves the page to a team, and names the signed-in user."""

    origin: str  # origin of the page, for example https://refine.example.org
    header: str  # name of the header with the user, for example X-Forwarded-User


def proxy_of(origin: str | None, header: str | None) -> Proxy | None:
    """The proxy in front of the page; ``None`` without one.

    Raises:
        ReviewError: Only one argument is given, the origin has a path or lacks a scheme, or the header's name
            is invalid.
    """
    if origin is None and header is None:
        return None
    if origin is None or header is None:
        raise ReviewError(
            "--behind (the origin of a proxy) and --author-header (its header with the user's name) go "
            "together; give both or neither"
        )
    if not re.fullmatch(r"https?://[^/?#@\s]+", origin):
        raise ReviewError(
            f"--behind must be the origin of a proxy, without a path or a trailing slash, got {origin!r}; "
            "for example https://refine.example.org"
        )
    if not re.fullmatch(r"[A-Za-z0-9-]+", header):
        raise ReviewError(
            f"--author-header must be a header name of letters, digits and hyphens, got {header!r}; "
            "for example X-Forwarded-User"
        )
    return Proxy(origin, header)


def app_of(session: Session, token: str, port: int, proxy: Proxy | None = None) -> Starlette:
    """The application: one page with script and style, and the session behind the page."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    hosts = {f"{name}:{port}": f"http://{name}:{port}" for name in (HOST, "localhost")}
    if proxy is not None:  # requests on loopback are refused: the proxy names the user
        hosts = {proxy.origin.partition("://")[2]: proxy.origin}

    def nothing(status: int = 404) -> Response:
        return Response(status_code=status, headers=_HEADERS)

    def known(request: Request) -> bool:
        sent_token = str(request.path_params.get("token", ""))
        return (
            hmac.compare_digest(sent_token.encode(), token.encode()) and request.headers.get("host") in hosts
        )

    async def page(request: Request) -> Response:
        content = _file(str(request.path_params["name"]))
        if not known(request) or content is None:
            return nothing()
        text, kind = content
        return Response(text, media_type=kind, headers=_HEADERS)

    async def ask(request: Request) -> Response:
        author = ""
        if proxy is not None:  # proxies send UTF-8
            author = request.headers.get(proxy.header, "").encode("latin-1").decode(errors="replace").strip()
        # A browser states the origin of a request; requests of other pages, or without origin, are refused.
        same_origin = request.headers.get("origin") in hosts.values()
        named = proxy is None or 0 < len(author) <= LONGEST_AUTHOR
        is_json = request.headers.get("content-type") == "application/json"
        for status, allowed in ((404, known(request)), (403, same_origin and named), (415, is_json)):
            if not allowed:
                return nothing(status)
        body = bytearray()
        try:
            async for part in request.stream():
                body += part
                if len(body) > LARGEST:
                    return nothing(413)
        except ClientDisconnect:
            return nothing(400)
        try:
            message = json.loads(bytes(body))
        except (ValueError, RecursionError):
            return nothing(400)
        ACTING.set(shown(author))  # for this request alone: every request has its own context
        answer = await run_in_threadpool(session.handle, message)
        if isinstance(answer, bytes):
            return Response(answer, media_type="application/octet-stream", headers=_HEADERS)
        return JSONResponse(answer, headers=_HEADERS)

    routes = [
        Route("/{token}/ask", ask, methods=["POST"]),
        Route("/{token}/{name:path}", page, methods=["GET"]),
    ]
    # Unknown routes and other methods get an empty answer too.
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys((404, 405), lambda *_: nothing()))
    app.router.redirect_slashes = False  # a redirect would repeat the requested host
    return app


def listening(port: int, instead: str) -> socket.socket:
    """A socket that listens on loopback.

    Args:
        port: Number of the port; 0 for a free one.
        instead: Start of the advice if the port is taken.

    Raises:
        ReviewError: The port cannot be used.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(64)  # requests made before the server runs wait instead of failing
    except (OSError, OverflowError) as error:
        listener.close()
        raise ReviewError(
            f"the port must be free, port {port} is not: {error}; {instead} a free one"
        ) from None
    return listener


class Server:
    """A running page.

    Args:
        session: Answers messages.
        port: Port on loopback; 0 for a free one.
        proxy: Proxy that serves the page to a team; requests past the proxy are refused.

    Attributes:
        url: Address of the page.

    Raises:
        ReviewError: The port is taken, or the extra ``web`` is not installed.
    """

    def __init__(self, session: Session, port: int = 0, proxy: Proxy | None = None) -> None:
        for package in ("starlette", "uvicorn"):
            load(
                package,
                "the review page in a browser",
                ReviewError,
                "the same from a shell: refine propose STORE ROUND",
            )
        self.token = secrets.token_urlsafe(24)
        self._socket = listening(port, "leave --port out for")
        self.port = int(self._socket.getsockname()[1])
        self.url = f"{f'http://{HOST}:{self.port}' if proxy is None else proxy.origin}/{self.token}/"
        self._server = quiet(app_of(session, self.token, self.port, proxy))

    def run(self) -> None:
        """Serves until Ctrl-C."""
        self._server.run(sockets=[self._socket])

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """Serves in a thread while the block runs."""
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            while not self._server.started and thread.is_alive():
                thread.join(0.01)
            yield self
        finally:
            self._server.should_exit = True
            thread.join()


def quiet(app: ASGIApp, lifespan: Literal["on", "off"] = "off") -> Any:
    """A server of an application; it logs only errors and sends no server header."""
    import uvicorn

    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan=lifespan, server_header=False)
    return uvicorn.Server(config)
