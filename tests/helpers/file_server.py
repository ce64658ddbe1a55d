"""`FileServer`: serves files by https on this machine, with typical download faults."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A key for 127.0.0.1 that signs itself, made for these tests and used nowhere else.
_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKXfKgrxARraXJCau
KlqpZCPdQfAJPgJybwXZsQM6FXahRANCAAQx9xNtXAXHGth0hvspWj6ZvchYknNG
t4u2soiJOAR4wCYyYttruGLcXP+GI1Jik5VE6rK48euhx1dj2SWUhoqm
-----END PRIVATE KEY-----
"""
_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBmTCCAT6gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAl2c3IgdGVz
dHMwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CXZzciB0ZXN0czBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDH3E21cBcca2HSG
+ylaPpm9yFiSc0a3i7ayiIk4BHjAJjJi22u4Ytxc/4YjUmKTlUTqsrjx66HHV2PZ
JZSGiqajfzB9MBoGA1UdEQQTMBGHBH8AAAGCCWxvY2FsaG9zdDAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBTh2pad5/CSSiZoQTdgqo9i46lYEzAfBgNVHSMEGDAW
gBTh2pad5/CSSiZoQTdgqo9i46lYEzAOBgNVHQ8BAf8EBAMCAoQwCgYIKoZIzj0E
AwIDSQAwRgIhAMPD7SYez8qJFoDDa+2TouS6UI1qP6alCOArEfVzkEZ3AiEAummi
FtiPM+wTAO6O25P69v0gHGQGzCRx+lNIefwJONw=
-----END CERTIFICATE-----
"""


@dataclass
class FileServer:
    """What it serves, how, and what it was asked for."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    """Path -> content."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Path -> address."""
    breaks_after: list[int] = field(default_factory=list)
    """Bytes after which the next answers end, one a request."""
    told_length: int | None = None
    """What it says how long a file is, instead of the truth."""
    lengths: bool = True
    """Says how long files are."""
    ranges: bool = True
    """Serves parts."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of every request."""

    def address(self, path: str, host: str = "127.0.0.1") -> str:
        """Of a file."""
        return f"https://{host}:{self.port}{path}"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    """Serve on 127.0.0.1; `folder`/ca.pem is the certificate that makes it trusted."""
    (folder / "ca.pem").write_text(_CERTIFICATE)
    (folder / "server.pem").write_text(_KEY + _CERTIFICATE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.served = FileServer(server.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.served  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        served: FileServer = self.server.served  # type: ignore[attr-defined]
        served.asked.append((self.path, self.headers.get("Range", "")))
        self.close_connection = True
        if self.path in served.redirects:
            self.send_response(302)
            self.send_header("Location", served.redirects[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = served.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        begin = 0
        if served.ranges and self.headers.get("Range", "").startswith("bytes="):
            begin = int(self.headers["Range"][6:].rstrip("-"))
            if begin >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        if served.lengths:
            self.send_header("Content-Length", str((served.told_length or len(data)) - begin))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        end = served.breaks_after.pop(0) if served.breaks_after else len(data)
        with contextlib.suppress(OSError):
            self.wfile.write(data[begin : begin + end])
            self.wfile.flush()

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever asked has gone, or did not trust us
            super().handle()
