"""`encoder_flaw`: the self-test of an encoder.

Patterned frames are encoded twice and decoded, and compared. It is meant for hardware: drivers were seen to
lose, repeat and swap frames, and to give other bytes in every run.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from models.errors import ResourceError
from pipelines.codec.decoder import planes_as
from pipelines.codec.encoder import encode_chunk
from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.media.demuxer import open_decoder, open_memory
from pipelines.media.hdr_metadata import equal_within_units, static_metadata
from pipelines.media.pixel_format import planar_format
from pipelines.media.video_info import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.video.frame import VideoFrame

    from pipelines.codec.encoder import EncodedChunk
    from pipelines.settings.encoder_spec import Encoder

__all__ = ["SELF_TEST_FRAMES", "SELF_TEST_SIZE", "encoder_flaw"]


SELF_TEST_FRAMES = 48
SELF_TEST_SIZE = (512, 288)
_TICKS = 1001
_TIME_BASE, _RATE = Fraction(1, 24000), Fraction(24000, 1001)
_LEAST_DB = 25.0
"""PSNR of every plane of every frame; neighbouring frames of the pattern differ by about 17 dB."""


def encoder_flaw(
    encoder: Encoder,
    color: ColorTags,
    hdr: HdrMetadata,
    frames: int = SELF_TEST_FRAMES,
    encode: Callable[..., EncodedChunk] = encode_chunk,
) -> str:
    """Return what is wrong with an encoder of that size and those options; empty if it passes.

    color, hdr: expected tags and metadata of its stream. frames: number of test frames. encode: replaces
    `encode_chunk` in tests.
    """
    times = [n * _TICKS + (n % 3) for n in range(frames)]  # a rate that varies a little, as that of films may
    try:
        once, again = (
            encode(
                _pattern(encoder, times),
                0,
                encoder,
                time_base=_TIME_BASE,
                rate=_RATE,
                sar=Fraction(1),
                color=color,
                hdr=hdr,
            )
            for _ in range(2)
        )
        if len(once.pts) != frames:
            return f"it gave {len(once.pts)} packets for {frames} frames"
        if sorted(once.pts) != times:
            return "its packets have other timestamps than the frames"
        if once.header_sha256 != again.header_sha256 or _packets(once) != _packets(again):
            return "the same frames gave other bytes the second time"
        return _flaw_of_stream(once, encoder, color, hdr, times)
    except ResourceError as error:
        return str(error)
    except av.error.FFmpegError as error:
        return f"its stream can't be decoded: {error.strerror}"


def _packets(chunk: EncodedChunk) -> list[bytes]:
    """Packets without the container, which contains a random number."""
    with open_memory(chunk.data) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def _flaw_of_stream(
    chunk: EncodedChunk, encoder: Encoder, color: ColorTags, hdr: HdrMetadata, times: list[int]
) -> str:
    pixels = encoder.pixels
    shown = 0
    for frame, pts in _decoded(chunk):
        if shown >= len(times):
            return f"more than {len(times)} frames can be decoded"
        if pts != times[shown]:
            return f"frame {shown} is shown at tick {pts}, expected {times[shown]}"
        if (frame.width, frame.height) != (encoder.width, encoder.height):
            return f"it made {frame.width}x{frame.height} of {encoder.width}x{encoder.height}"
        found = planar_format(frame.format.name)
        if (found.bits, found.sub_x, found.sub_y) != (pixels.bits, pixels.sub_x, pixels.sub_y):
            return f"it made {frame.format.name} of {encoder.pix_fmt}"
        tags = replace(
            color,
            matrix=int(frame.colorspace),
            range=int(frame.color_range),
            primaries=int(frame.color_primaries),
            transfer=int(frame.color_trc),
        )
        if tags != color:
            return f"its colour tags are {tags}, expected {color}"
        if frame.key_frame and not equal_within_units(static_metadata(frame), hdr):
            return f"its HDR metadata is {static_metadata(frame)}, expected {hdr}"
        planes = planes_as(frame, found)
        least = min(
            _psnr(a[: b.shape[0], : b.shape[1]], b, pixels.bits)
            for a, b in zip(planes, _picture(encoder, shown), strict=True)
        )
        if least < _LEAST_DB:
            return (
                f"frame {shown} comes back at {least:.1f} dB, expected {_LEAST_DB:.0f} or more: it is another"
                " one, or damaged"
            )
        shown += 1
    return "" if shown == len(times) else f"{shown} of {len(times)} frames can be decoded"


def _decoded(chunk: EncodedChunk) -> Iterator[tuple[VideoFrame, int]]:
    """Frames in display order, each with the true time of its packet."""
    with open_memory(chunk.data) as container:
        stream = container.streams.video[0]
        decoder, number = open_decoder(stream), 0
        for packet in container.demux(stream):
            if packet.size:
                packet.pts, packet.dts = chunk.pts[number], None
                number += 1
            yield from ((frame, frame.pts or 0) for frame in decoder.decode(packet if packet.size else None))


def _pattern(encoder: Encoder, times: list[int]) -> Iterator[Frame]:
    return (Frame(pts, _picture(encoder, number)) for number, pts in enumerate(times))


def _picture(encoder: Encoder, number: int) -> list[np.ndarray]:
    """Planes of frame `number`: a moving wave, and the number as bars, so that no two frames are alike."""
    pixels = encoder.pixels
    planes = []
    for place in range(pixels.plane_count):
        rows, columns = pixels.plane_size(place, encoder.width, encoder.height)
        y, x = np.mgrid[0:rows, 0:columns]
        phase = 2 * x / columns + y / rows + number * (0.29 + 0.06 * place)
        values = 0.15 + 0.7 * np.abs(phase % 2 - 1)
        for bit in range(8):
            values[: rows // 4, bit * columns // 8 : (bit + 1) * columns // 8] = (
                0.8 if number >> bit & 1 else 0.2
            )
        planes.append(np.rint(values * ((1 << pixels.bits) - 1)).astype(pixels.dtype))
    return planes


def _psnr(made: np.ndarray, wanted: np.ndarray, bits: int) -> float:
    error = float(np.mean((made.astype(np.float64) - wanted) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(((1 << bits) - 1) ** 2 / error))
