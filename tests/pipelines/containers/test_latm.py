"""AAC in LATM, as in DVB, becomes AAC as MP4 and Matroska store it. Case 23."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipelines.containers.latm import LatmReader, decoder_config
from tests import media
from tests.helpers.inline import H264, upscaled

pytestmark = pytest.mark.usefixtures("inline")


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(audio=0) if p.size]


def broadcast(path: Path) -> tuple[Path, list[bytes]]:
    """A TS with LATM, and the access units that went into it."""
    plain = media.write(
        path.parent / "plain.mp4",
        media.Film(frames=12, rate=Fraction(25)),
        audio=(media.Audio(seconds=0.48),),
    )
    with (
        av.open(str(plain)) as given,
        av.open(str(path), "w", format="mpegts", container_options={"mpegts_flags": "+latm"}) as output,
    ):
        tracks = {s.index: output.add_stream_from_template(s, opaque=True) for s in given.streams}
        for packet in given.demux():
            if packet.size:
                packet.stream = tracks[packet.stream_index]
                output.mux(packet)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac_latm"
    return path, packets(plain)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_the_access_units_of_latm_are_kept_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    """Case 23: no sound is encoded anew, and each keeps its time."""
    source, units = broadcast(tmp_path / "in.ts")
    upscaled(source, tmp_path / f"out{suffix}", **H264)
    assert packets(tmp_path / f"out{suffix}") == units
    heard = []
    for path in (source, tmp_path / f"out{suffix}"):
        with av.open(str(path)) as container:
            assert container.streams.audio[0].codec_context.name in {"aac", "aac_latm"}
            heard.append([f.to_ndarray().tobytes() for f in container.decode(audio=0)])
        with av.open(str(path)) as container:
            times = [p.pts * p.time_base for p in container.demux(audio=0) if p.size]
            assert [t - times[0] for t in times] == pytest.approx(
                [Fraction(1024 * n, 48000) for n in range(len(units))], abs=0.001
            )
    assert heard[0] == heard[1]


def bits(*fields: tuple[int, int]) -> bytes:
    """(value, bits) one after the other, filled up to whole bytes."""
    text = "".join(format(value, f"0{count}b") for value, count in fields)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def element(*fields: tuple[int, int]) -> bytes:
    data = bits(*fields)
    return bits((0x2B7, 11), (len(data), 13)) + data


def test_explicit_sbr_two_units_and_packets_without_a_configuration_are_read() -> None:
    """Case 23: HE-AAC, as most broadcasts have it."""
    config = ((5, 5), (6, 4), (2, 4), (3, 4), (2, 5), (0, 3))
    mux = ((0, 1), (0, 1), (1, 1), (1, 6), (0, 4), (0, 3), *config, (0, 3), (255, 8), (0, 1), (0, 1))
    units = (b"ab", b"c" * 300)
    payload = ((2, 8), (0x6162, 16), (255, 8), (45, 8), *((ord("c"), 8) for _ in range(300)))
    reader = LatmReader()
    assert reader.units(element((1, 1), *payload)) == []  # nothing is known yet
    assert reader.units(element(*mux, *payload)) == list(units)
    assert reader.config == bits(*config)
    assert reader.units(element((1, 1), *payload)) == list(units)
    assert decoder_config([b"\0" * 9, element((1, 1), *payload), element(*mux, *payload)]) == bits(*config)
    with pytest.raises(ValueError, match="ends early"):
        reader.units(element((1, 1), *payload[:-9]))
    with pytest.raises(ValueError, match="no LATM"):
        reader.units(b"\0" * 40)
    assert decoder_config([b"\0" * 9]) == b""


def test_configurations_that_tell_their_length_are_read() -> None:
    """Case 23: version 1."""
    mux = (
        (0, 1),
        (1, 1),
        (0, 1),
        (0, 2),
        (255, 8),
        (1, 1),
        (0, 6),
        (0, 4),
        (0, 3),
        (0, 2),
        (16, 8),
        (0x1190, 16),
    )
    data = element(*mux, (0, 3), (255, 8), (0, 1), (1, 1), (7, 8), (1, 8), (0x41, 8))
    reader = LatmReader()
    assert (reader.units(data), reader.config) == ([b"A"], b"\x11\x90")
