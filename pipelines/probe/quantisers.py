"""`Quantisers`: a lower bound of a film's degradation, from its quantisers.

For films that were scaled down by two and encoded, measured levels at one quantiser are close together,
whatever the content (`python -m tests.benchmarks.level_by_quantiser`). Degradation before the last encode is
not visible to it. For HEVC, VP9 and AV1 the headers are used. x264 changes blocks by up to ten steps from the
quantiser in its headers, so for H.264 the quantisers of blocks are used.
"""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any

import av
import av.logging
from av.bitstream import BitStreamFilterContext

from pipelines.codec.ffmpeg_log import captured_log
from pipelines.frames.film_frames import BLOCK_QUANTISERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["Quantisers"]


_LEVELS = {
    "h264": (22.0, 0.35, 0.030),
    "hevc": (27.0, 0.36, 0.0275),
    "vp9": (63.0, 0.26, 0.0036),
    "av1": (73.0, 0.32, 0.0032),
}
"""By codec: a quantiser, its level, and the increase per step; 0.05 lower than measured."""
_NAMED = re.compile(r"\s(init_qp_minus26|slice_qp_delta|base_q_idx)\s.*= (-?\d+)\s*$")
"""Names of the quantisers in FFmpeg's `trace_headers`."""


class Quantisers:
    """Quantisers of some packets and frames of one film."""

    def __init__(self, stream: VideoStream, bits: int) -> None:
        """bits: of a sample."""
        self._stream, self._codec, self._deeper = stream, stream.codec_context.codec.name, 6 * (bits - 8)
        self._codec = (
            "av1" if self._codec == "libdav1d" else "vp9" if self._codec == "libvpx-vp9" else self._codec
        )
        self._waiting: list[av.Packet[Any]] = []
        self._found: list[float] = []
        self._reader: BitStreamFilterContext | None = None
        self._start = 26.0
        """Quantiser of slices, relative to which headers give a difference."""
        self.reads_packets = self._codec in _LEVELS and self._codec not in BLOCK_QUANTISERS
        """Whether quantisers are in headers, which `passing` has to see."""

    def passing(self, packets: Iterable[av.Packet[Any]]) -> Iterator[av.Packet[Any]]:
        """Pass packets on to the decoder."""
        for packet in packets:
            yield packet
            if self.reads_packets and packet.size:
                self._waiting.append(packet)

    def see(self, frame: VideoFrame) -> None:
        """Examine a decoded frame."""
        told: Any = frame.side_data.get("VIDEO_ENC_PARAMS") if self._codec in BLOCK_QUANTISERS else None
        if told is not None and told.nb_blocks:
            self._found.append(float(told.qp_map().mean()) - self._deeper)

    def taken(self) -> list[float]:
        """Return the quantisers found since the last call, in the codec's own unit."""
        if self._waiting:
            self._found += self._of_headers()
            self._waiting = []
        found, self._found = self._found, []
        return found

    def level(self, found: Sequence[float]) -> float:
        """The restoration level that some quantisers suggest, 0 to 1; also 0 if nothing is known."""
        if not found:
            return 0.0
        near, level, slope = _LEVELS[self._codec]
        return min(1.0, max(0.0, level + slope * (statistics.median(found) - near)))

    def _of_headers(self) -> list[float]:
        """Quantisers of slices or frames, from their headers.

        One reader sees all packets, because parameter sets may come with the first one only.
        """
        with captured_log(av.logging.INFO) as said:
            try:
                self._reader = self._reader or BitStreamFilterContext("trace_headers", self._stream)
                for packet in self._waiting:
                    self._reader.filter(packet)
            except av.error.FFmpegError:
                pass  # the values read so far are used
        found = []
        for _, _, text in said:
            if (told := _NAMED.search(text.rstrip())) is None:
                continue
            name, value = told[1], float(told[2])
            if name == "init_qp_minus26":
                self._start = 26 + value
            else:
                found.append(value + self._start if name == "slice_qp_delta" else value)
        return found
