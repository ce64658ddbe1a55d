"""A byte stream that ends inside its last slice is detected, and a complete one is accepted. Case 63."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import MediaError
from pipelines.probe.probe import probe

_CUT = "ends early: its last frame"


def byte_stream(path: Path, codec: str, frames: int = 6, **options: str) -> bytes:
    """A raw stream of moving noise; its bytes."""
    picture = np.random.default_rng(1).integers(0, 255, (96, 256, 3), dtype=np.uint8)
    with av.open(str(path), "w", format="h264" if codec == "libx264" else "hevc") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.options = 160, 96, "yuv420p", options
        for number in range(frames):
            at = 3 * number
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture[:, at : at + 160]), format="rgb24"
            )
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path.read_bytes()


def pictures(path: Path) -> list[bytes]:
    found: list[bytes] = []
    with av.open(str(path)) as source, suppress(av.error.InvalidDataError):
        source.streams.video[0].thread_count = 1
        found += (frame.to_ndarray().tobytes() for frame in source.decode(video=0))
    return found


def is_noticed(path: Path) -> bool:
    try:
        info = probe(path)
    except MediaError:
        return True
    return info.flaw.startswith("ends early") or info.damage > 0


_KINDS = {
    "CABAC": ("libx264", {}),
    "one frame": ("libx264", {}),
    "slices": ("libx264", {"x264-params": "slices=4"}),
    "fields": ("libx264", {"x264-params": "tff=1"}),
    "CAVLC": ("libx264", {"x264-params": "cabac=0"}),
    "HEVC": ("libx265", {"x265-params": "log-level=none"}),
    "HEVC by rows": ("libx265", {"x265-params": "log-level=none:slices=2:ctu=16:wpp=1"}),
}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_stream_cut_inside_its_last_slice_is_distinguished_from_a_whole_one(
    tmp_path: Path, kind: str
) -> None:
    """Case 63: cut anywhere, at whose end the frame is another; and never a whole one."""
    codec, options = _KINDS[kind]
    suffix = "h264" if codec == "libx264" else "hevc"
    whole = tmp_path / f"whole.{suffix}"
    data = byte_stream(whole, codec, 1 if kind == "one frame" else 6, **options)
    assert not probe(whole).flaw
    shown = pictures(whole)
    last = max(data.rfind(b"\0\0\1"), 0) + 12
    cut = tmp_path / f"cut.{suffix}"
    differing = 0
    for end in np.linspace(last, len(data) - 1, 6).astype(int):
        cut.write_bytes(data[:end])
        found = pictures(cut)
        if found[: len(shown)] != shown:
            assert is_noticed(cut), end
            differing += 1
    assert differing > 3


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_transport_stream_that_ends_with_a_packet_inside_a_frame_ends_early(
    tmp_path: Path, codec: str
) -> None:
    """Case 63: it tells no lengths, and none of its own packets is cut."""
    raw, whole, cut = (
        tmp_path / f"raw.{'h264' if codec == 'libx264' else 'hevc'}",
        tmp_path / "whole.ts",
        tmp_path / "cut.ts",
    )
    byte_stream(raw, codec, bf="0")
    with av.open(str(raw)) as source, av.open(str(whole), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [p for p in source.demux(video=0) if p.size]
        for number, packet in enumerate(packets):
            packet.stream, packet.time_base = stream, stream.time_base
            packet.pts = packet.dts = 3600 * number
            out.mux(packet)
    data = whole.read_bytes()
    assert not probe(whole).flaw
    cut.write_bytes(data[: len(data) - 188 * 5])
    assert probe(cut).flaw.startswith(_CUT)
