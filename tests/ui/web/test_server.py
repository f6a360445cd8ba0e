"""Requests to the review page: accepted from the page itself, on loopback."""

import http.client
import json
import logging
import re
import socket

import pytest

import refine
from refine.errors import ReviewError
from refine.ui.web.server import Server, proxy_of
from refine.ui.web.session import Session


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with refine.Tree("question", store=tmp_path_factory.mktemp("served") / "refine.db") as tree:
        round_ = tree.add_round({"x": (0.0, 1.0, 5)}, lambda p: p["x"], n=5, name="f")
        with Server(Session(round_)).running() as running:
            yield running


@pytest.fixture
def fetched(server):
    def fetch(path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        response = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        connection.close()
        return response

    return fetch


JSON = {"content-type": "application/json"}


def test_a_request_without_the_token_gets_nothing(server, fetched):
    token = server.token
    assert len(token) >= 32
    unknown = ("/", "/x/", f"/{token[:-1]}/", "/x/ask", "/x/review.js", "/x", f"/{token}")
    inside = (f"/{token}/../etc/passwd", f"/{token}/session.py", f"/{token}/static/review.js")
    for path in (*unknown, *inside):
        status, _, body = fetched(path)
        assert (status, body) == (404, b""), path
    assert fetched("/x/ask", "{}", origin=f"http://127.0.0.1:{server.port}", **JSON)[0] == 404


def test_only_the_page_itself_may_ask(server, fetched):
    message = json.dumps({"type": "tree"})
    base = f"http://127.0.0.1:{server.port}"
    ask = f"/{server.token}/ask"
    status, _, body = fetched(ask, message, origin=base, **JSON)
    assert (status, json.loads(body)["name"]) == (200, "question")
    for body, headers, refused in (
        (message, JSON, 403),
        (message, {**JSON, "origin": "http://evil.example"}, 403),
        (message, {**JSON, "origin": "null"}, 403),
        (message, {"content-type": "text/plain", "origin": base}, 415),
        ("{", {**JSON, "origin": base}, 400),
        ("[" * 200_000, {**JSON, "origin": base}, 400),
        ("x" * 1_000_001, {**JSON, "origin": base}, 413),
        # A name that was made to lead here: the address is right, the host is not.
        (message, {**JSON, "origin": base, "host": "evil.example"}, 404),
        (None, {"host": "evil.example"}, 404),
    ):
        path = ask if body else f"/{server.token}/"
        assert fetched(path, body, **headers)[0] == refused, (body and body[:20], headers)


def test_a_connection_cut_within_a_message_logs_no_error(server, fetched, caplog):
    host = f"127.0.0.1:{server.port}"
    head = (
        f"POST /{server.token}/ask HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    log = logging.getLogger("uvicorn.error")
    log.addHandler(caplog.handler)
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head.encode() + b'{"type"')
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass
        assert fetched(f"/{server.token}/")[0] == 200
    finally:
        log.removeHandler(caplog.handler)
    assert caplog.messages == []


def test_the_page_loads_no_foreign_content_and_cannot_be_framed(server, fetched):
    status, headers, body = fetched(f"/{server.token}/")
    assert status == 200
    for policy in ("default-src 'none'", "frame-ancestors 'none'", "script-src 'self';"):
        assert policy in headers["content-security-policy"]
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert "server" not in headers
    assert not re.findall(r"https?://", body.decode())
    for name in ("review.js", "review.css"):
        source = fetched(f"/{server.token}/{name}")[2].decode()
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", source))
        names = ("2000/svg", "1999/xhtml", "1999/xlink", "XML/1998/namespace", "2000/xmlns/")
        assert addresses <= {f"http://www.w3.org/{name}" for name in names}


def test_a_port_that_is_taken_and_nothing_but_loopback(server):
    assert server._socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(ReviewError, match=rf"port {server.port} is not: .*; leave --port out"):
        Server(Session(None), server.port)


def test_behind_a_proxy_an_author_is_whom_it_names(tree):
    proxy = proxy_of("https://refine.example", "X-Forwarded-User")
    round_ = tree.add_round({"x": (0.0, 1.0, 5)}, lambda p: p["x"], n=5, name="f").run()
    session = Session(round_)
    about = {"round": round_.id, "number": 0}
    key = session.handle({"type": "trial", **about})["key"]
    message = json.dumps(
        {"type": "exclude", **about, "key": key, "excluded": True, "reason": "a test"}
    ).encode()
    with Server(session, proxy=proxy).running() as server:
        assert server.url == f"https://refine.example/{server.token}/"

        def asked(**headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            connection.request("POST", f"/{server.token}/ask", message, JSON | headers)
            status = connection.getresponse().status
            connection.close()
            return status

        proxy_headers = {"host": "refine.example", "origin": "https://refine.example"}
        own_headers = {"host": f"127.0.0.1:{server.port}", "origin": f"http://127.0.0.1:{server.port}"}
        user_header = {"X-Forwarded-User": "Zoë \x9b".encode()}
        assert (asked(**proxy_headers), asked(**proxy_headers, **{"X-Forwarded-User": b"z" * 201})) == (
            403,
            403,
        )
        assert (
            asked(**own_headers, **user_header),
            asked(**{**proxy_headers, "origin": own_headers["origin"]}, **user_header),
        ) == (404, 403)
        assert asked(**proxy_headers, **user_header) == 200
    assert tree.log()["author"].iloc[-1] == "Zoë \\x9b"
    round_.exclude([1], "a test")
    assert tree.log()["author"].iloc[-1] != "Zoë \\x9b"  # a name is of its request alone


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("https://refine.example/page", "X-User"),
            "without a path or a trailing slash, got 'https://refine.example/page'",
        ),
        ((None, "X-User"), "give both or neither"),
        (("https://refine.example", None), "give both or neither"),
        (("https://refine.example", "X User"), "got 'X User'"),
    ],
)
def test_a_proxy_has_an_origin_and_a_header(arguments, text):
    with pytest.raises(ReviewError, match=text):
        proxy_of(*arguments)
