"""What a video or a picture shows, for training and judging: YUV 4:2:0 code values, left-sited, or R'G'B'.

The decode path is that of a run (`source`, `decode`, `color`); 4:2:0 with chroma on the left passes through untouched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.errors import UsageError
from models.interpolation import resample
from pipelines import color
from pipelines.cicp import Matrix, Range, Siting
from pipelines.decode import Promise, decode, deliver, planar_format
from pipelines.plan import cut_spans
from pipelines.source import PacketReader
from pipelines.tags import SITING_OFFSETS, chroma_offset, resolve
from pipelines.video import NO_PTS, Chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from models.network import Planes
    from pipelines.cicp import ColorTags
    from pipelines.planes import PixelFormat
    from pipelines.source import PacketData
    from pipelines.video import Frame, Span, VideoInfo

__all__ = ["PICTURE_SUFFIXES", "Codes", "Footage", "find_inputs", "from_values", "oriented", "rgb_to_planes", "to_rgb", "to_values"]

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".m4v", ".webm", ".avi", ".ts", ".m2ts", ".mpg", ".mpeg", ".y4m", ".mxf", ".flv"})
LEFT = SITING_OFFSETS[Siting.LEFT]


@dataclass(frozen=True, eq=False)
class Codes:
    """Code values of one picture or of a clip, limited range, chroma left-sited."""

    luma: np.ndarray
    """(T,H,W) uint8, or uint16 above 8 bits; H and W even."""
    chroma: np.ndarray
    """(T,2,H/2,W/2) of the same type: U, V."""
    bits: int

    def __post_init__(self) -> None:
        frames, height, width = self.luma.shape
        if self.chroma.shape != (frames, 2, height // 2, width // 2) or height % 2 or width % 2:
            raise UsageError(f"luma {self.luma.shape} and chroma {self.chroma.shape} are not 4:2:0 of one even size")

    def crop(self, top: int, left: int, height: int, width: int) -> Codes:
        """An even rectangle of every frame, as a view."""
        half = (slice(top // 2, (top + height) // 2), slice(left // 2, (left + width) // 2))
        return Codes(self.luma[:, top : top + height, left : left + width], self.chroma[:, :, half[0], half[1]], self.bits)

    def frames(self, chosen: slice) -> Codes:
        """Some of its frames, as a view."""
        return Codes(self.luma[chosen], self.chroma[chosen], self.bits)


def to_values(codes: Codes) -> Planes:
    """Codes -> luma (T,1,H,W) 0..1 and chroma (T,2,H/2,W/2) -0.5..0.5, float32."""
    luma = color.to_float(codes.luma, codes.bits, full=False, chroma=False)
    return luma[:, None], color.to_float(codes.chroma, codes.bits, full=False, chroma=True)


def from_values(planes: Planes, bits: int) -> Codes:
    """The reverse of `to_values`: rounded to nearest and clipped."""
    luma = color.to_codes(planes[0][:, 0], bits, full=False, chroma=False)
    return Codes(luma, color.to_codes(planes[1], bits, full=False, chroma=True), bits)


def rgb_to_planes(rgb: Tensor, matrix: int = Matrix.BT470BG) -> Planes:
    """(B,3,H,W) R'G'B' with even sides -> luma (B,1,H,W) and left-sited chroma (B,2,H/2,W/2)."""
    luma, chroma = color.rgb_to_yuv(rgb, matrix)
    return luma, resample(chroma, rgb.shape[-2] // 2, rgb.shape[-1] // 2, "bilinear", offset=(0.0, 0.0), out_offset=LEFT)


def oriented(planes: Planes, turn: int) -> Planes:
    """One of the eight flips and rotations, chroma resampled to where it belongs.

    turn: 0 to 7; bit 0 flips left and right, bit 1 up and down, bit 2 transposes afterwards. Luma moves exactly. Chroma does
    too for 0 and 2; else it ends up right-sited or top-sited and is brought back to the left by Lanczos.
    """
    luma, chroma = planes
    axes = ([-1] if turn & 1 else []) + ([-2] if turn & 2 else [])
    luma, chroma = luma.flip(axes), chroma.flip(axes)
    down, across = 0.0, -LEFT[1] if turn & 1 else LEFT[1]
    if turn & 4:
        luma, chroma, down, across = luma.transpose(-1, -2), chroma.transpose(-1, -2), across, down
    if (down, across) != LEFT:
        chroma = resample(chroma, chroma.shape[-2], chroma.shape[-1], "lanczos", offset=(down, across), out_offset=LEFT)
    return luma.contiguous(), chroma.contiguous()


class Footage:
    """The frames of one file."""

    def __init__(self, info: VideoInfo) -> None:
        """Raise MediaError for pixel formats and colours that can't be converted."""
        self.info = info
        self.pixels: PixelFormat = planar_format(info.pix_fmt)
        tags, _ = resolve(info.color, self.pixels, height=info.height, codec=info.codec, picture=info.made_of_pictures)
        self.tags: ColorTags = tags
        self.bits = min(10, max(8, self.pixels.bits)) if self.pixels.bits <= 8 else 10
        self.width, self.height = info.width // 2 * 2, info.height // 2 * 2

    def frames(self, stop: int | None = None) -> Iterator[Frame]:
        """Frames in display order as decoded, up to `stop` of them; damaged ones and those not to be shown are left out.

        Raises MediaError where size, format, colour or the like change on the way.
        """
        shown = set(self.info.pts)
        reader = PacketReader(self.info.path, self.info.stream_index)
        rows = len(self.info.index)
        count = 0
        try:
            for frame in decode(reader.rows(0, rows, keep_from=rows), self.info.decoder, self.pixels):
                known = self.info.linear or self.info.epochs or frame.pts in shown
                if frame.corrupt or not known:
                    continue
                if frame.change:
                    raise Promise((frame.pts,), number=count, clock=self.info.decoder.clock).refuse(0, frame.change)
                yield frame
                count += 1
                if count == stop:
                    return
        finally:
            reader.close()

    def frames_at(self, stretches: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Frame]]:
        """(number, frame) of the frames [start, stop) of each stretch, ascending; damaged ones as the decoder repaired them.

        Decodes from the key frames before them only. Raises IndexMismatchError where frames come that no packet promised.
        """
        info = self.info
        chunks = [Chunk(n, start, stop) for n, (start, stop) in enumerate(stretches)]
        reader = PacketReader(info.path, info.stream_index)
        try:
            for span in cut_spans(info.index, info.pts, chunks, linear=info.linear):
                first, stop = span.chunks[0].start_frame, span.chunks[-1].stop_frame
                promise = Promise(info.pts[first:stop], info.linear, first if info.linear else 0, first, info.decoder.clock)
                wanted = {n for chunk in span.chunks for n in range(chunk.start_frame, chunk.stop_frame)}
                frames = deliver(decode(self._packets(reader, span), info.decoder, self.pixels, conceal=True), promise, conceal=True)
                yield from ((n, frame) for n, frame in enumerate(frames, start=first) if n in wanted)
        finally:
            reader.close()

    def _packets(self, reader: PacketReader, span: Span) -> Iterator[PacketData]:
        """Of a span, with the times of the index (clock jumps joined)."""
        index = self.info.index
        for row, packet in enumerate(reader.rows(span.first_row, span.stop_row, keep_from=span.first_row), start=span.first_row):
            pts, dts = index.pts[row], index.dts[row]
            yield replace(packet, pts=None if pts == NO_PTS else pts, dts=None if dts == NO_PTS else dts)

    def codes(self, frame: Frame) -> Codes:
        """One frame as 4:2:0 codes of 8 or 10 bits, limited range, left-sited; odd sides lose their last row or column."""
        pixels, tags = self.pixels, self.tags
        plain = pixels.family == "yuv" and (pixels.sub_x, pixels.sub_y) == (1, 1) and not pixels.alpha and pixels.bits == self.bits
        if plain and tags.range == Range.LIMITED and tags.siting == Siting.LEFT:
            luma, u, v = (np.asarray(p) for p in frame.planes[:3])
            half = (self.height // 2, self.width // 2)
            return Codes(luma[None, : self.height, : self.width], np.stack([u, v])[None, :, : half[0], : half[1]], self.bits)
        return from_values(self.values(frame), self.bits)

    def values(self, frame: Frame) -> Planes:
        """One frame as luma (1,1,H,W) and left-sited chroma (1,2,H/2,W/2), float32, in the matrix of the video (R'G'B': BT.601)."""
        size = (slice(None), slice(None), slice(self.height), slice(self.width))
        if self.pixels.family == "rgb":
            return rgb_to_planes(self.rgb(frame)[size])
        luma, chroma = self._planes(frame)
        height, width = self.height // 2, self.width // 2
        chroma = chroma[..., : height * 2 >> self.pixels.sub_y, : width * 2 >> self.pixels.sub_x]
        offset = self._offset()
        if chroma.shape[-2:] != (height, width) or offset != LEFT:
            chroma = resample(chroma, height, width, "bicubic" if chroma.shape[-1] == width else "bilinear", offset=offset, out_offset=LEFT)
        return luma[size], chroma

    def rgb(self, frame: Frame) -> Tensor:
        """One frame as (1,3,H,W) R'G'B', float32 0..1, at its full and maybe odd size."""
        return to_rgb(frame.planes, self.pixels, self.tags)

    def _planes(self, frame: Frame) -> Planes:
        return _to_planes(frame.planes, self.pixels, self.tags)

    def _offset(self) -> tuple[float, float]:
        return _offset(self.pixels, self.tags)


def to_rgb(planes: Sequence[np.ndarray], pixels: PixelFormat, tags: ColorTags) -> Tensor:
    """Planes of codes -> (1,3,H,W) R'G'B', float32, 0..1 from black to white. tags: resolved."""
    full = tags.range == Range.FULL
    if pixels.family == "rgb":
        green, blue, red = (color.to_float(p, pixels.bits, full, chroma=False) for p in planes[:3])
        return torch.stack([red, green, blue])[None]
    luma, chroma = _to_planes(planes, pixels, tags)
    chroma = resample(chroma, luma.shape[-2], luma.shape[-1], "bicubic", offset=_offset(pixels, tags), out_offset=(0.0, 0.0))
    return color.yuv_to_rgb(luma, chroma, tags.matrix)


def _to_planes(planes: Sequence[np.ndarray], pixels: PixelFormat, tags: ColorTags) -> Planes:
    full = tags.range == Range.FULL
    luma = color.to_float(planes[0], pixels.bits, full, chroma=False)[None, None]
    if pixels.family == "gray":
        return luma, torch.zeros(1, 2, luma.shape[-2] // 2 * 2, luma.shape[-1] // 2 * 2)
    chroma = torch.stack([color.to_float(p, pixels.bits, full, chroma=True) for p in planes[1:3]])
    return luma, chroma[None]


def _offset(pixels: PixelFormat, tags: ColorTags) -> tuple[float, float]:
    """Siting of chroma in chroma samples, for whichever axes are subsampled."""
    return chroma_offset(SITING_OFFSETS[Siting(tags.siting)], (1 << pixels.sub_y, 1 << pixels.sub_x))


def find_inputs(paths: Iterable[str | Path]) -> list[Path]:
    """The files meant: files themselves, and the pictures and videos directly in folders, sorted by name.

    Raises UsageError where a path does not exist or a folder holds neither.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES)
            if not inside:
                raise UsageError(f"{path}: holds no video and no picture; expected files such as .mp4, .mkv, .png, .jpg, .webp")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such file or folder")
    return found
