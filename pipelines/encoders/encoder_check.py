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
from pipelines.codec.chunk_frames import chunk_frames
from pipelines.codec.decoder import planes_as
from pipelines.codec.encoder import encode_chunk
from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.media.demuxer import open_memory
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
_BLOCK_PX, _MOST_OF_BLOCK = 16, 0.4
"""Side of a block, and how far its mean may be off, as a share of the range of values. x264, x265 and SVT-AV1
stay below 0.3 even at their largest CRF; a block that was lost is off by 0.15 to 0.85."""
_MOST_OF_CONTRAST = 0.08
"""How far the contrast of a plane may be off, over all frames: 0.06 at a quality that just passes the PSNR,
0.12 or more if a driver converts between full and limited range."""
_WAITING_SECONDS = 20.0
"""For a free session of the encoder. Later, in the run, a worker waits longer."""


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
                patience_seconds=_WAITING_SECONDS,
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
    shown, contrasts = 0, []
    for frame, pts in chunk_frames(chunk):
        if shown >= len(times):
            return f"more than {len(times)} frames can be decoded"
        if pts != times[shown]:
            return f"frame {shown} is shown at tick {pts}, expected {times[shown]}"
        flaw = _flaw_of_frame(frame, encoder, color, hdr)
        if flaw:
            return flaw
        pairs = [
            (made[: wanted.shape[0], : wanted.shape[1]].astype(np.float64), wanted.astype(np.float64))
            for made, wanted in zip(planes_as(frame, encoder.pixels), _picture(encoder, shown), strict=True)
        ]
        flaw = _flaw_of_samples(pairs, float((1 << encoder.pixels.bits) - 1))
        if flaw:
            return f"frame {shown} comes back {flaw}: it is another one, or damaged"
        contrasts.append([_contrast(*pair) for pair in pairs])
        shown += 1
    if shown != len(times):
        return f"{shown} of {len(times)} frames can be decoded"
    contrast = max(np.mean(contrasts, axis=0), key=lambda found: abs(found - 1))
    if abs(contrast - 1) > _MOST_OF_CONTRAST:
        return f"its values have {contrast:.2f} times the contrast: it converts their range"
    return ""


def _flaw_of_frame(frame: VideoFrame, encoder: Encoder, color: ColorTags, hdr: HdrMetadata) -> str:
    """How size, format, tags or metadata differ from those expected; empty if they don't."""
    if (frame.width, frame.height) != (encoder.width, encoder.height):
        return f"it made {frame.width}x{frame.height} of {encoder.width}x{encoder.height}"
    pixels, found = encoder.pixels, planar_format(frame.format.name)
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
    return ""


def _flaw_of_samples(pairs: list[tuple[np.ndarray, np.ndarray]], peak: float) -> str:
    """How a frame differs from the one that was given; empty if it is near enough.

    pairs: decoded and original values of each plane, (H,W) floats. peak: largest value.
    """
    least = min(_psnr(made, wanted, peak) for made, wanted in pairs)
    if least < _LEAST_DB:
        return f"at {least:.1f} dB, expected {_LEAST_DB:.0f} or more"
    most = max(_worst_block(made - wanted) for made, wanted in pairs) / peak
    return f"with a block that is off by {most:.0%} of the range" if most > _MOST_OF_BLOCK else ""


def _worst_block(error: np.ndarray) -> float:
    """Largest mean error of a block, without incomplete ones at the edges. error: (H,W), of any size."""
    rows, columns = (side // _BLOCK_PX for side in error.shape)
    blocks = error[: rows * _BLOCK_PX, : columns * _BLOCK_PX].reshape(rows, _BLOCK_PX, columns, _BLOCK_PX)
    return float(np.abs(blocks.mean((1, 3))).max(initial=0.0))


def _contrast(made: np.ndarray, wanted: np.ndarray) -> float:
    """Slope of the line that gives `made` from `wanted` with the least error."""
    centred = wanted - wanted.mean()
    return float((centred * made).sum() / (centred**2).sum())


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


def _psnr(made: np.ndarray, wanted: np.ndarray, peak: float) -> float:
    error = float(np.mean((made - wanted) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(peak**2 / error))
