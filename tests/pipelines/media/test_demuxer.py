"""Which files are opened, with which demuxer, and which are never opened. Cases 64, 69 to 72."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from models.errors import MediaError
from pipelines.media import packet_reader
from pipelines.media.demuxer import file_url, open_source
from pipelines.media.packet_reader import PacketReader
from pipelines.output import muxer
from pipelines.output.journal import work_folder
from pipelines.probe import frame_times
from pipelines.probe.frame_times import count
from pipelines.probe.probe import probe
from tests import media
from tests.helpers.bad_sector import bad_sector
from tests.helpers.inline import finished_of, planned_of, upscaled
from tests.helpers.view import frames


class _Counter(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        self.send_response(404)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    """An HTTP server on this machine that remembers what it was asked for."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Counter)
    made.requests = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["list.m3u8", "film.mp4", "film.mkv", "film.ts", "film"])
@pytest.mark.parametrize("kind", ["m3u8", "dash", "xspf"])
def test_a_playlist_reaches_no_server_whatever_its_name(
    tmp_path: Path, server: http.server.ThreadingHTTPServer, name: str, kind: str
) -> None:
    """Case 69."""
    url = f"http://127.0.0.1:{server.server_address[1]}/segment.ts"
    text = {
        "m3u8": f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{url}\n#EXT-X-ENDLIST\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>{url}</BaseURL></Period></MPD>',
        "xspf": f"<playlist><trackList><track><location>{url}</location></track></trackList></playlist>",
    }[kind]
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(MediaError) as raised:
        probe(path)
    assert raised.value.exit_code == 3
    assert server.requests == []  # type: ignore[attr-defined]


def test_a_server_that_counts_does_count(server: http.server.ThreadingHTTPServer) -> None:
    """Case 69: the fixture proves something."""
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_address[1]}/x")
    assert server.requests == ["/x"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["list.mp4", "list.ffconcat", "list.txt", "list.mkv"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_concat_list_opens_nothing(tmp_path: Path, name: str, absolute: bool) -> None:
    """Case 70."""
    film = media.cfr(tmp_path / "film.mp4", frames=4)
    path = tmp_path / name
    path.write_text(f"ffconcat version 1.0\nfile '{film if absolute else film.name}'\n")
    with pytest.raises(MediaError) as raised:
        probe(path)
    assert raised.value.exit_code == 3


def _names(tmp_path: Path, port: int) -> list[str]:
    secret = tmp_path / "film.mp4"
    return [
        f"http://127.0.0.1:{port}/film.mp4", f"tcp://127.0.0.1:{port}", f"subfile,,start,0,end,0,,:{secret}", "data:video/mp4;base64,AAAA",
        f"concat:{secret}|{secret}", "pipe:0", f"file:{secret}", f"cache:{secret}", f"async:{secret}", "fd:0",
    ]  # fmt: skip


def test_a_name_that_looks_like_an_address_is_a_file_name(
    tmp_path: Path, server: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 71: where there is no such file, it is not there."""
    media.cfr(tmp_path / "film.mp4", frames=4)
    monkeypatch.chdir(tmp_path)
    for name in _names(tmp_path, server.server_address[1]):
        with pytest.raises(MediaError, match="can't be read"):
            probe(name)
    assert server.requests == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    ["http:film.mp4", "concat:a.mp4|b.mp4", "data:film.mp4", "subfile,,start,0,end,0,,:film.mp4", "pipe:0"],
)
def test_a_file_with_the_name_of_an_address_is_opened_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Case 71."""
    media.cfr(tmp_path / "film.mp4", frames=4)
    (tmp_path / "film.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).frame_count == 4


HOSTILE = [
    b"a:b.mp4",
    b"-x.mp4",
    b"--overwrite.mp4",
    b"$(touch executed).mp4",
    b"`touch executed`.mp4",
    b";touch executed.mp4",
    b"new\nline.mp4",
    b"%03d.mp4",
    b"'quote\".mp4",
    b"\xff\xfe\x80.mp4",
    b"space and \xc3\xbc.mp4",
    b"n" * 251 + b".mp4",
    b"\xc3\xbc" * 120 + b".mp4",
]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(n[:20]) for n in HOSTILE])
def test_a_hostile_name_is_a_plain_file_in_and_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    """Case 72."""
    folder, results = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    results.mkdir()
    source, output = folder / os.fsdecode(name), results / os.fsdecode(name)
    media.cfr(tmp_path / "film.mp4", frames=6).rename(source)
    monkeypatch.chdir(folder)
    upscaled(Path(source.name), output, codec="h264", preset="ultrafast")
    assert {p.name for p in folder.iterdir()} == {source.name}
    assert {os.fsencode(p.name) for p in results.iterdir()} >= {name}
    output.rename(tmp_path / "plain.mp4")
    assert len(frames(tmp_path / "plain.mp4")) == 6


@pytest.mark.usefixtures("inline")
def test_a_numbered_name_is_not_taken_for_a_sequence_of_pictures(tmp_path: Path) -> None:
    """Case 72."""
    for number in range(3):
        (tmp_path / f"{number:03d}.jpg").write_bytes(media.jpeg())
    (tmp_path / "%03d.jpg").write_bytes(media.jpeg(48, 48))
    info = probe(tmp_path / "%03d.jpg")
    assert (info.width, info.frame_count) == (48, 1)


def _bad_inputs(folder: Path) -> dict[str, Path]:
    whole = media.cfr(folder / "whole.mp4", frames=12)
    content = whole.read_bytes()
    start = next(at for at, _, kind in media.boxes(content) if kind == b"moov")
    bad = {
        name: folder / name
        for name in (
            "empty.mp4",
            "headless.mp4",
            "text.mp4",
            "noise.mkv",
            "sound.mp4",
            "missing.mp4",
            "folder.mp4",
            "fifo.mp4",
        )
    }
    bad["empty.mp4"].write_bytes(b"")
    bad["headless.mp4"].write_bytes(content[:start])
    bad["text.mp4"].write_text("This is no film.\n" * 50)
    bad["noise.mkv"].write_bytes(bytes((n * n * 31 + 7) % 256 for n in range(20000)))
    bad["folder.mp4"].mkdir()
    os.mkfifo(bad["fifo.mp4"])
    import av

    with av.open(str(bad["sound.mp4"]), "w") as output:
        track = output.add_stream("aac", rate=48000, layout="stereo")
        output.start_encoding()
        for packet in media._audio_packets(track, media.Audio(seconds=0.2)):
            output.mux(packet)
    return bad


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.mp4", "is empty"),
        ("headless.mp4", "no moov box"),
        ("text.mp4", "not a video file we can open"),
        ("noise.mkv", "not a video file we can open|no video"),
        ("sound.mp4", "has no video stream"),
        ("missing.mp4", "can't be read"),
        ("folder.mp4", "is a folder"),
        ("fifo.mp4", "not a regular file"),
    ],
)
def test_what_is_no_film_is_refused_with_the_reason(tmp_path: Path, name: str, words: str) -> None:
    """Case 64."""
    path = _bad_inputs(tmp_path)[name]
    with pytest.raises(MediaError, match=words) as raised:
        probe(path)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 3


def test_a_path_becomes_an_address_of_a_file_whatever_it_holds() -> None:
    assert file_url("/a/http:x%03d|y.mp4") == "file:/a/http:x%03d|y.mp4"
    assert file_url("-x").startswith("file:/")


def test_the_reader_gives_every_packet_by_its_row_and_reads_again_on_request(tmp_path: Path) -> None:
    """Case 6: the first rows are there, though Matroska gives them no dts."""
    source = media.cfr(tmp_path / "in.mkv", frames=24, b_frames=3)
    container = open_source(source)
    expected = [bytes(p) for p in container.demux(video=0) if p.size]
    container.close()
    reader = PacketReader(source, 0)
    assert [p.data for p in reader.rows(0, 24, keep_from=0)] == expected
    assert [p.data for p in reader.rows(5, 9, keep_from=5)] == expected[5:9]
    assert [p.data for p in reader.rows(20, 24, keep_from=24)] == expected[20:]
    assert [p.data for p in reader.rows(0, 3, keep_from=0)] == expected[:3]
    reader.close()


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(("module", "kept"), [(packet_reader, 1), (muxer, 3)])
def test_a_source_that_can_t_be_read_to_its_end_is_named_and_what_is_done_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, kept: int
) -> None:
    """While its packets go to the workers, and while its sound is passed on."""
    film = media.write(tmp_path / "in.mkv", media.Film(frames=24, gop=8), audio=(media.Audio(),))
    output = tmp_path / "out.mkv"
    with monkeypatch.context() as patch:
        bad_sector(patch, module, behind=12)
        with pytest.raises(
            MediaError, match=f"^{film}: can't be read to its end: Input/output error; what is done is kept"
        ):
            upscaled(film, output, chunk_seconds=0.25)
    assert not output.exists()
    assert not (work_folder(output) / "result").exists()
    events = upscaled(film, output, chunk_seconds=0.25)
    assert (planned_of(events).chunks_done, finished_of(events).frames) == (kept, 24)


def test_a_film_whose_frames_are_counted_must_be_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = media.cfr(tmp_path / "in.mp4", frames=8)
    info = probe(film)
    bad_sector(monkeypatch, frame_times, behind=4)
    with pytest.raises(MediaError, match="can't be read to its end"):
        count(info)
