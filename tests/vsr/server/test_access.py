"""Hostile requests are refused.

No token, other hosts, paths outside the roots, requests that are too large or too slow.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.parse
from pathlib import Path

import pytest

from tests.helpers.serving import TOKEN, Server
from tests.vsr.server.conftest import HOSTILE
from vsr.server.web import access, film_routes
from vsr.server.web.access import Access


def raw(server: Server, data: bytes, *, seconds: float = 30.0) -> bytes:
    """What the server answers to bytes, up to where it closes."""
    host, port = server.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as line:
        line.sendall(data)
        found = b""
        while part := line.recv(65536):
            found += part
        return found


@pytest.mark.parametrize(
    "path", ["/", "/static/app.js", "/openapi.json", "/api/v1/roots", "/api/v1/jobs", "/nothing"]
)
@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer "]
)
def test_without_the_token_everything_is_401(server: Server, path: str, authorization: str) -> None:
    """Case 99."""
    assert server.call("GET", path, Authorization=authorization).status == 401


def test_only_the_health_check_is_open(server: Server) -> None:
    assert server.call("GET", "/healthz", Authorization="").status == 200


def test_the_address_that_is_printed_becomes_a_cookie_no_script_can_read(server: Server) -> None:
    answer = raw(
        server, f"GET /?token={TOKEN} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 303 ")
    (cookie,) = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"set-cookie:")]
    assert b"HttpOnly" in cookie
    assert b"SameSite=Strict" in cookie
    assert server.call("GET", "/api/v1/roots", Authorization="", Cookie=f"vsr_token={TOKEN}").status == 200
    assert server.call("GET", "/api/v1/roots", Authorization="", Cookie="vsr_token=other").status == 401
    assert server.call("GET", "/?token=other", Cookie=f"vsr_token={TOKEN}").status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8787", "127.0.0.1.evil.example", "localhost@evil", "192.168.1.1"]
)
def test_another_host_name_is_refused(server: Server, host: str) -> None:
    assert server.call("GET", "/api/v1/roots", Host=host).status == 403


def test_two_host_headers_are_refused(server: Server) -> None:
    head = f"GET /api/v1/roots HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    assert raw(server, head.encode()).split()[1] in {b"400", b"403"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scle": 2}, "settings.scle: no such setting; did you mean scale?"),
        ({"encoder-option": "x"}, "settings.encoder-option: not accepted over HTTP; give it to `vsr run`"),
        ({"model": "qualty"}, "qualty"),
        ({"prefilter": "deblok"}, "deblok"),
        ({"crf": 80}, "--crf 80: libx265 takes 0 to 51"),
        ({"codec": "prores", "crf": 20}, "--crf does not go with prores"),
        ({"config": "game-4k", "codec": "av1", "crf": 64}, "--crf 64: libsvtav1 takes 0 to 63"),
        ({"preset": "fats"}, "did you mean fast?"),
        ({"codec": "ffv1", "target_size": "1GB"}, "--target-size 1.00 GB: ffv1 has no CRF to search for"),
        ({"encoder": "nvenc", "codec": "ffv1"}, "no hardware encodes ffv1"),
        ({"codec": "ffv1", "output": "films/b.mp4"}, "name an output that ends in .mkv"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_setting_that_no_film_can_have_is_refused_at_once_with_what_can(
    server: Server, settings: dict[str, object], said: str
) -> None:
    answer = server.call("POST", "/api/v1/jobs", {"path": "films/a.mp4", "settings": settings})
    assert answer.status == 422
    assert said in answer.json["error"]


@pytest.mark.parametrize(
    "settings",
    [{"prefilter": "deblock,deband"}, {"deinterlace": "ivtc"}, {"target_size": "1MB"}, {"target_vmaf": 90}],
    ids=lambda value: next(iter(value)),
)
def test_settings_of_the_command_are_those_of_a_plan_over_http(
    server: Server, settings: dict[str, object]
) -> None:
    answer = server.call("POST", "/api/v1/plan", {"path": "films/a.mp4", "settings": settings})
    assert answer.status == 200, answer.body


def test_an_absolute_path_is_answered_with_the_form_of_paths(server: Server) -> None:
    answer = server.call("POST", "/api/v1/jobs", {"path": "/films/a.mp4"})
    assert answer.status == 404
    assert "expected ROOT/folder/name, with ROOT one of films" in answer.json["error"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://evil.example:8787"]
)
def test_another_sites_page_is_refused(server: Server, origin: str) -> None:
    assert server.call("POST", "/api/v1/jobs", {"path": "films/a.mp4"}, Origin=origin).status == 403
    assert (
        server.call(
            "POST", "/api/v1/jobs", {"path": "films/a.mp4"}, **{"Sec-Fetch-Site": "cross-site"}
        ).status
        == 403
    )


def test_the_servers_own_page_is_not_refused(server: Server) -> None:
    assert (
        server.call("GET", "/api/v1/roots", Origin=server.base, **{"Sec-Fetch-Site": "same-origin"}).status
        == 200
    )


@pytest.mark.parametrize(
    "path",
    ["films/../../etc/passwd", "films/../outside/secret.mp4", "/etc/passwd", "films//etc/passwd", "films/link.mp4", "films/linked/secret.mp4",
     "films/.hidden.mp4", "films/./a.mp4", "other/a.mp4", "", "films/a.mp4/", "films/a.mp4\0.mkv", "films\\a.mp4", "films/..", "films/notes.txt",
     "C:\\a.mp4", "films/" + "x" * 5000],
)  # fmt: skip
def test_paths_out_of_the_roots_lead_nowhere(server: Server, path: str) -> None:
    query = urllib.parse.quote(path, safe="")
    for answer in (
        server.call("GET", f"/api/v1/probe?path={query}"),
        server.call("GET", f"/api/v1/thumbnail?path={query}"),
        server.call("POST", "/api/v1/plan", {"path": path}),
        server.call("POST", "/api/v1/jobs", {"path": path}),
        server.call("POST", "/api/v1/previews", {"path": path, "moments": [0]}),
    ):
        assert answer.status in {404, 422}, answer.body
        assert b"secret" not in answer.body or "secret" in path
    assert server.api("GET", "jobs") == []


def test_a_lone_surrogate_in_a_path_leads_nowhere(server: Server) -> None:
    answer = server.call("POST", "/api/v1/jobs", b'{"path": "films/\\udc80.mp4"}')
    assert answer.status in {404, 422}


@pytest.mark.parametrize(
    "output",
    [
        "films/../x.mkv",
        "/tmp/x.mkv",
        "films/linked/x.mkv",
        "films/link.mp4",
        "films/nowhere/x.mkv",
        "films/.x.mkv",
    ],
)
def test_results_are_written_nowhere_else(server: Server, output: str) -> None:
    asked = {"path": "films/a.mp4", "settings": {"output": output}}
    assert server.call("POST", "/api/v1/jobs", asked).status == 404
    assert server.call("POST", "/api/v1/plan", asked).status == 404


@pytest.mark.parametrize(
    "settings",
    [{"model": "/etc/passwd"}, {"model": "../x.pth"}, {"config": "/etc/passwd"}, {"config": "x.toml"}, {"encoder_options": ["x265-params=csv=/tmp/x"]},
     {"cluster": "auto"}, {"preset": "fast:csv=/tmp/x"}, {"to": "--fresh"}, {"scale": "--x"}, {"output_template": "/tmp/x"}, {"range": "a; rm"},
     {"pixel_format": "--config=/etc/passwd"}, {"crf": 1e999}, {"model": "-x"}],
)  # fmt: skip
def test_settings_name_no_files_and_no_options(server: Server, settings: dict[str, object]) -> None:
    answer = server.call(
        "POST", "/api/v1/jobs", json.dumps({"path": "films/a.mp4", "settings": settings}).encode()
    )
    assert answer.status == 422, answer.body
    assert answer.json["error"]


def test_links_out_of_a_root_and_hidden_files_are_not_listed(server: Server) -> None:
    found = server.api("GET", "files?path=films")
    assert [f["name"] for f in found["films"]] == [HOSTILE, "a.mp4", "broken.mp4"]
    assert [f["name"] for f in found["folders"]] == ["deep"]
    assert found["left_out"] == 2


def test_a_script_in_a_name_stays_text(server: Server) -> None:
    path = f"films/{HOSTILE}"
    answer = server.call("GET", f"/api/v1/probe?path={urllib.parse.quote(path, safe='')}")
    assert answer.json["path"] == path
    unknown = server.call("GET", f"/api/v1/probe?path={urllib.parse.quote('films/<script>', safe='')}")
    for one in (answer, unknown):
        assert one.headers["content-type"] == "application/json"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self'" in one.headers["content-security-policy"]
        assert "unsafe-inline" not in one.headers["content-security-policy"]


def test_no_answer_has_an_absolute_path(server: Server, films: Path) -> None:
    answers = [
        server.call("GET", f"/api/v1/{path}")
        for path in ("roots", "files?path=films", "probe?path=films/a.mp4", "probe?path=films/broken.mp4")
    ]
    answers.append(server.call("POST", "/api/v1/plan", {"path": "films/broken.mp4"}))
    answers.append(
        server.call(
            "POST", "/api/v1/plan", {"path": "films/a.mp4", "settings": {"scale": 2, "model": "lanczos"}}
        )
    )
    for answer in answers:
        assert str(films).encode() not in answer.body
        assert str(films.parent).encode() not in answer.body
        assert str(Path.home()).encode() + b"/" not in answer.body
    assert [a.status for a in answers] == [200, 200, 200, 422, 422, 200]


def test_a_huge_body_is_refused_before_it_is_read(server: Server) -> None:
    assert server.call("POST", "/api/v1/jobs", b"[" * (65 << 10)).status == 413
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    answer = raw(server, f"{head}Content-Length: 99999999999\r\n\r\n".encode())
    assert answer.split()[1] == b"413"
    part = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    answer = raw(server, f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + part * 3)
    assert answer.split()[1] == b"413"


def test_deeply_nested_json_is_refused(server: Server) -> None:
    assert server.call("POST", "/api/v1/jobs", b'{"path": ' + b"[" * 30_000).status in {400, 422}


def test_a_huge_head_is_refused(server: Server) -> None:
    assert raw(server, b"GET / HTTP/1.1\r\nX: " + b"x" * (64 << 10)).split()[1] == b"400"
    assert server.call("GET", f"/api/v1/files?path={'x' * 20_000}").status == 413


def test_uploads_stay_below_their_limit_and_take_no_other_files_place(server: Server, films: Path) -> None:
    assert server.call("POST", "/api/v1/uploads?path=films/deep/new.mp4", b"x" * 1000).status == 201
    assert (films / "deep" / "new.mp4").read_bytes() == b"x" * 1000
    (films / "deep" / "new.mp4").unlink()
    before = (films / "a.mp4").read_bytes()
    assert server.call("POST", "/api/v1/uploads?path=films/a.mp4", b"x").status == 409
    assert (films / "a.mp4").read_bytes() == before
    assert server.call("POST", "/api/v1/uploads?path=films/deep/big.mp4", b"x" * 1_000_001).status == 413
    for path in ("films/x.sh", "films/../x.mp4", "films/linked/x.mp4", "films/.x.mp4", "films"):
        assert server.call(
            "POST", f"/api/v1/uploads?path={urllib.parse.quote(path, safe='')}", b"x"
        ).status in {404, 422}
    assert [p.name for p in (films / "deep").iterdir()] == ["b.mkv"]


def test_an_upload_takes_no_place_that_was_taken_while_it_came(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"mine")
    with (tmp_path / ".partial").open("xb") as file, pytest.raises(FileExistsError):
        film_routes._give_name(file, tmp_path / ".partial", tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes() == b"mine"


def test_a_client_that_never_ends_its_head_is_cut_off(server: Server) -> None:
    assert raw(server, b"GET / HTTP/1.1\r\nHost:") == b""


@pytest.mark.timeout(60)
def test_a_body_that_drips_is_cut_off() -> None:
    import asyncio

    async def drip() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def app(scope: object, receive: object, send: object) -> None:
        while True:
            await receive()  # type: ignore[operator]

    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/api/v1/jobs", "query_string": b"",
             "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode())]}  # fmt: skip
    control = access.AccessControl(app, Access(TOKEN, body_seconds=0.2))  # type: ignore[arg-type]
    began = time.monotonic()
    asyncio.run(control(scope, drip, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 408
    assert time.monotonic() - began < 30


@pytest.mark.timeout(60)
def test_a_client_that_takes_nothing_is_cut_off() -> None:
    import asyncio

    aborted = []

    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]

    async def send(message: object) -> None:
        await asyncio.sleep(3600)

    scope = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "headers": [(b"host", b"localhost")],
             "client": ("127.0.0.1", 1)}  # fmt: skip
    control = access.AccessControl(app, Access(TOKEN, send_seconds=0.1, abort=aborted.append))  # type: ignore[arg-type]
    asyncio.run(control(scope, None, send))  # type: ignore[arg-type]
    assert aborted == [("127.0.0.1", 1)]


def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(access.hmac, "compare_digest", lambda a, b: seen.append((a, b)) or False)
    assert not Access(TOKEN).is_token("x")
    assert seen == [(b"x", TOKEN.encode())]


def test_a_server_for_others_goes_by_its_addresses_and_names_alone() -> None:
    shared = Access(TOKEN, local_only=False, names=frozenset({"nas", "nas.local"}))
    assert [
        n
        for n in ("nas:8787", "NAS", "192.168.1.5:8787", "[fe80::1]:8787", "localhost")
        if not shared.is_our_host(n)
    ] == []
    assert [n for n in ("evil.example", "", "nas.evil.example", "nas:x") if shared.is_our_host(n)] == []
