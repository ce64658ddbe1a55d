"""`OutputContents`: tracks, times and packets of an output, and their comparison with the expected ones."""

from __future__ import annotations

import hashlib
import math
from array import array
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from av.stream import Disposition

from models.errors import VerificationError, counted
from pipelines.containers.container_support import dolby_vision_record
from pipelines.containers.copied_tracks import codec_of, is_unframed_audio
from pipelines.containers.track_times import KEEPS_MILLISECONDS
from pipelines.file_parsing.file_bytes import box_within, movie_tracks
from pipelines.media.bitstream import nal_length_size
from pipelines.media.chroma_siting import chroma_siting
from pipelines.media.cicp import Siting
from pipelines.media.hdr_metadata import configuration_of
from pipelines.output.stream_copy import joined_units
from pipelines.output.track_shift import start_shift
from pipelines.plan.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet

    from pipelines.media.video_info import VideoInfo
    from pipelines.output.stream_copy import CopiedStream
    from pipelines.plan.plan import Plan

__all__ = ["UNHEARD_DRIFT", "OutputContents", "check_copied_packets", "check_descriptions", "check_times"]


_BLOCK = 1 << 18
"""Number of times that are compared at once."""
_MATROSKA_TICK = Fraction(1, 1000)
_SAR_ERROR = Fraction(1, 200)
"""Matroska writes the display size in whole pixels, H.264 a ratio of 16-bit numbers."""
_SAME_CODEC = {"mp1": "mp3", "mp2": "mp3", "text": "subrip"}
"""Codecs that a container stores under the name of another; one decoder decodes both."""
UNHEARD_DRIFT = 0.04
"""Seconds by which the end of PCM may differ: MP4 and MOV store its samples end to end, whatever the times of
packets were (EBU R 37 allows as much)."""
_AUDIO_TICK = 1 / 8000
"""Rounding of a `--range` offset to ticks of the audio."""


class OutputContents:
    """The film of an output, and facts about the packets of all tracks."""

    def __init__(self, container: InputContainer, plan: Plan, passed: Sequence[CopiedStream]) -> None:
        others = {p.output_index for p in passed}
        films = [
            s
            for s in container.streams.video
            if s.index not in others and not s.disposition & Disposition.attached_pic
        ]
        if len(films) != 1:
            raise VerificationError(f"the result has {len(films)} film tracks, expected 1")
        self.video = films[0]
        self.time_base = Fraction(self.video.time_base or 1)
        context = self.video.codec_context
        if (context.width, context.height) != (plan.out_width, plan.out_height):
            raise VerificationError(
                f"the result is {context.width}x{context.height}, expected {plan.out_width}x{plan.out_height}"
            )
        tagged = self.video.sample_aspect_ratio or context.sample_aspect_ratio
        sar = Fraction(tagged or 1)
        if abs(sar / plan.sar - 1) > _SAR_ERROR:
            raise VerificationError(
                f"a sample of the result is {sar} wide for its height, expected {plan.sar}"
            )
        siting = chroma_siting(self.video)
        if plan.out_pixels.sub_y and siting not in {
            Siting.UNSPECIFIED,
            plan.out_color.siting,
        }:
            raise VerificationError(
                f"chroma of the result is said to lie {siting!r}, expected {Siting(plan.out_color.siting)!r}"
            )
        record = dolby_vision_record(plan)
        if record and configuration_of(self.video) != record:
            raise VerificationError("the result does not say that it is Dolby Vision, or of another level")
        self.length_size = nal_length_size(plan.encoder.codec, context.extradata)
        self.pts = array("q")
        """Timestamps of its packets, in decode order."""
        self.decoded = 0
        self.counts: dict[int, int] = {}
        self.digests: dict[int, Any] = {}
        self.firsts: dict[int, float] = {}
        self.lasts: dict[int, float] = {}
        """Stream -> seconds at which its latest packet begins."""
        self.ends: dict[int, float] = {}
        self.without_length: set[int] = set()
        """Streams with a packet of unknown duration."""
        self.codecs = {s.index: codec_of(s) for s in container.streams}
        self.annex_b = {p.output_index for p in passed if p.is_annex_b}

    def take(self, packet: Packet[Any]) -> None:
        """Record a packet of another track."""
        index, data, base = packet.stream_index, bytes(packet), Fraction(packet.time_base or 1)
        self.counts[index] = self.counts.get(index, 0) + 1
        if index in self.annex_b:
            data = joined_units(data, self.codecs[index], packet.stream)
        self.digests.setdefault(index, hashlib.sha256()).update(data)
        shown = packet.pts if packet.pts is not None else packet.dts or 0
        self.firsts.setdefault(index, float(shown * base))
        if not packet.duration:
            self.without_length.add(index)
        self.lasts[index] = max(self.lasts.get(index, -math.inf), float(shown * base))
        self.ends[index] = max(
            self.ends.get(index, -math.inf), float((shown + (packet.duration or 0)) * base)
        )


def check_times(seen: OutputContents, plan: Plan, info: VideoInfo) -> tuple[Fraction, Fraction]:
    """Check timestamps; returns (largest error, constant offset), both in seconds.

    A container that starts at 0 may add a constant offset.
    """
    moved = start_shift(plan, info)
    promised = timeline(info, plan).pts
    if len(seen.pts) != len(promised):
        raise VerificationError(f"the result has {counted(len(seen.pts), 'frame')}, expected {len(promised)}")
    found = np.frombuffer(seen.pts, np.int64)
    found.sort()  # in place: a film may have millions
    if (found[1:] == found[:-1]).any():
        raise VerificationError("two frames of the result have the same timestamp")
    shift = int(found[0]) * seen.time_base - (promised[0] * plan.time_base - moved)
    shift = Fraction(0) if abs(shift) <= _MATROSKA_TICK / 2 else shift
    in_milliseconds = plan.encoder.container in KEEPS_MILLISECONDS
    allowed = _MATROSKA_TICK / 2 if in_milliseconds else Fraction(0)
    if shift and in_milliseconds:
        allowed = _MATROSKA_TICK  # the shift itself was rounded
    # In whole units that all of these times are multiples of: two fractions a frame would take a kilobyte,
    # and a minute for a day of film.
    unit = Fraction(
        1, math.lcm(*(f.denominator for f in (seen.time_base, plan.time_base, moved, shift, allowed)))
    )
    a_tick, b_tick, offset, most = (
        int(f / unit) for f in (seen.time_base, plan.time_base, shift - moved, allowed)
    )
    farthest = max(
        abs(int(t)) * tick
        for times, tick in ((found, a_tick), (promised, b_tick))
        for t in (times[0], times[-1])
    )
    whole = np.int64 if farthest + abs(offset) < 1 << 62 else object
    largest = 0
    for start in range(0, len(found), _BLOCK):
        a = found[start : start + _BLOCK].astype(whole)
        b = np.frombuffer(promised[start : start + _BLOCK], np.int64).astype(whole)
        errors = abs(a * a_tick - b * b_tick - offset)
        wrong = errors > most
        if wrong.any():
            place = int(wrong.argmax())
            shown, wanted = int(a[place]) * seen.time_base, int(b[place]) * plan.time_base - moved + shift
            raise VerificationError(
                f"frame {start + place} of the result is shown at {float(shown):.6f} s, expected"
                f" {float(wanted):.6f} s"
            )
        largest = max(largest, int(errors.max()))
    return largest * unit, shift


def check_copied_packets(
    seen: OutputContents, passed: Sequence[CopiedStream], shift: Fraction, plan: Plan
) -> None:
    """Check every copied packet: its bits, its codec, and that it is offset by no more than the film."""
    for entry in passed:
        found, digest = seen.counts.get(entry.output_index, 0), seen.digests.get(entry.output_index)
        divisible, name = is_unframed_audio(entry.codec), f"{entry.type} stream {entry.source_index}"
        if found != entry.packets and not (divisible and found):
            raise VerificationError(f"{name}: {found} packets in the result, expected {entry.packets}")
        if digest is not None and digest.digest() != entry.digest.digest():
            raise VerificationError(
                f"{name}: its {'samples' if divisible else 'packets'} are not those of the source"
            )
        codec = seen.codecs.get(entry.output_index, "")
        if (
            entry.packets
            and entry.codec
            and _SAME_CODEC.get(codec, codec) != _SAME_CODEC.get(entry.codec, entry.codec)
        ):
            raise VerificationError(
                f"{name}: is {codec or 'of no known codec'} in the result, expected {entry.codec}"
            )
        if entry.type == "audio" and entry.output_index in seen.firsts and entry.first_seconds is not None:
            _check_heard(seen, entry, float(shift), plan.encoder.container)


def check_descriptions(path: Path, passed: Sequence[CopiedStream]) -> None:
    """Check the sample descriptions of tracks that FFmpeg does not know, in an MP4 or MOV."""
    described = [entry for entry in passed if entry.description]
    tracks = list(movie_tracks(path).values()) if described else []
    way = (b"mdia", b"minf", b"stbl", b"stsd")
    for entry in described:
        if box_within(tracks[entry.output_index], *way) != box_within(entry.description, *way):
            raise VerificationError(
                f"{entry.type} stream {entry.source_index}: its sample description is not that of the source"
            )


def _check_heard(seen: OutputContents, entry: CopiedStream, shift: float, container: str) -> None:
    """Check when a sound track begins and ends. shift: constant offset of the output, in seconds."""
    name, index = f"audio stream {entry.source_index}", entry.output_index
    tick = _AUDIO_TICK + (float(_MATROSKA_TICK) if container in KEEPS_MILLISECONDS else 0.0)
    begins = abs(seen.firsts[index] - (entry.first_seconds or 0.0) - shift)
    last = abs(seen.lasts[index] - entry.last_seconds - shift)
    end = abs(seen.ends[index] - entry.end_seconds - shift)
    if is_unframed_audio(entry.codec) and entry.tells_lengths and index not in seen.without_length:
        # Its packets may be split differently, so only the end of the last one can be compared; its time and
        # duration are rounded.
        end_to_end = entry.codec.startswith("pcm_") and container in {"mp4", "mov"}
        last, allowed = 0.0, UNHEARD_DRIFT if end_to_end else 2 * tick
    else:
        # Demuxers don't agree on the duration of a last packet that is cut short, or don't report it.
        allowed = entry.longest_seconds + 2 * tick if entry.tells_lengths else math.inf
    if begins > tick:
        raise VerificationError(f"{name} begins {begins * 1000:.3f} ms off")
    if end > allowed or last > tick:
        raise VerificationError(f"{name} ends {max(end, last) * 1000:.3f} ms off")
