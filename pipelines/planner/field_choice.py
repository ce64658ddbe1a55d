"""`choose_fields`: deinterlacing or inverse telecine for a video, and messages about it.

Inverse telecine has to examine every frame in the range. It is used if requested, or if samples of the film
show pulldown. Child processes share the work, and the result is cached by the source's content.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b85decode, b85encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from models.errors import MediaError, UsageError
from pipelines.hardware.resources import usable_cores
from pipelines.interlacing.cadence import find_cadence
from pipelines.interlacing.field_matching import match_fields
from pipelines.plan.plan import Deinterlacing
from pipelines.plan.pulldown import Pulldown
from pipelines.storage.cache_folder import read_cached, write_cached
from pipelines.storage.child_call import call_in_child

if TYPE_CHECKING:
    from pipelines.media.video_info import ScanType, VideoInfo

__all__ = ["FieldChoice", "choose_fields"]


_WHOLE_FILM = 0.99
"""Share of frames that must be film for inverse telecine by default."""
_SOME_FILM = 0.1
"""Share of frames that must be film for inverse telecine at all."""
_BESIDE = 64
"""Frames examined on either side of a range."""
_STRETCH, _SMALLEST = 4096, 240
"""Most and fewest frames for one child process."""
_SECONDS_A_FRAME, _STARTING_SECONDS = 2.0, 120.0
"""Time limit of a child, far more than it needs."""
_TABLE, _VERSION = "cadence", 2


@dataclass(frozen=True)
class FieldChoice:
    """Deinterlacing or inverse telecine; at most one of them is set."""

    deinterlacing: Deinterlacing | None = None
    pulldown: Pulldown | None = None
    notes: tuple[str, ...] = ()


def choose_fields(info: VideoInfo, wanted: str, part: tuple[int, int], *, order: str = "auto") -> FieldChoice:
    """Determine what `--deinterlace` means for a video. part: source frames [start, stop) of the range.

    order: `--field-order`; other than "auto", it replaces what was detected. Raises MediaError if interlaced
    video is refused, and if `ivtc` finds no pulldown; UsageError if progressive video is to be deinterlaced.
    """
    _refuse_contradiction(wanted, order)
    info = replace(info, scan=_as_given(info.scan, order))
    scan = info.scan
    if order == "progressive":
        return FieldChoice(notes=("taken for progressive, by --field-order",))
    if wanted == "ivtc":
        return _undone(info, part)
    if scan.order == "progressive":
        return _whole(scan, wanted)
    kind = "hard-telecined film (3:2 pulldown)" if scan.pulldown == "hard" else "interlaced"
    by = "--field-order" if scan.found == "settings" else f"its {scan.found}"
    what = f"{kind}, {scan.order} field first by {by}"
    if wanted == "refuse":
        raise MediaError(f"is {what}; --deinterlace auto would make whole frames of it")
    if wanted == "off":
        return FieldChoice(
            notes=(f"{what}; its lines are upscaled as they are, because of --deinterlace off",)
        )
    _refuse_apart(info, what)
    how = _RATES[wanted == "bob"]
    if scan.pulldown == "hard" and wanted == "auto":
        found = _cadence(info, part)
        share = _film_share(found)
        if share >= _WHOLE_FILM:
            return FieldChoice(pulldown=found, notes=(f"{what}; {_in_words(found)}",))
        how += (
            f"; {_percent(share)} of its frames are telecined film, and --deinterlace ivtc would give back"
            " the film's own frames there"
        )
    elif scan.pulldown == "hard":
        how += "; --deinterlace ivtc would give back the film's own frames"
    return FieldChoice(Deinterlacing(scan.order, bob=wanted == "bob"), notes=(f"{what}; deinterlaced {how}",))


def _refuse_contradiction(wanted: str, order: str) -> None:
    if order == "progressive" and wanted in {"on", "bob", "ivtc"}:
        raise UsageError(f"--field-order progressive: leave --deinterlace {wanted} out, or say tff or bff")


def _as_given(scan: ScanType, order: str) -> ScanType:
    """What was detected, with the field order that the user gives."""
    first = _FIRST.get(order)
    return scan if first is None else replace(scan, order=first, found="settings", doubt="")


_FIRST: dict[str, Literal["top", "bottom"]] = {"tff": "top", "bff": "bottom"}
_SOFT = "soft telecine (pulldown flags): its film frames keep their own times"
_RATES = {
    True: "at field rate, two frames of each",
    False: "at frame rate; --deinterlace bob would keep the motion of every field",
}


def _refuse_apart(info: VideoInfo, what: str) -> None:
    if info.codec == "hevc" and info.scan.found != "pictures" and info.scan.order != "progressive":
        raise MediaError(
            f"is {what}, and HEVC keeps each field as a picture of its own; weave it first, or upscale the"
            " fields with --deinterlace off"
        )


def _undone(info: VideoInfo, part: tuple[int, int]) -> FieldChoice:
    """Inverse telecine as requested."""
    scan = info.scan
    if scan.pulldown == "soft":
        return FieldChoice(notes=(f"{_SOFT}; --deinterlace ivtc has nothing to do",))
    if info.is_picture or "f16" in info.pix_fmt or "f32" in info.pix_fmt:
        raise MediaError("has no fields; leave --deinterlace ivtc out")
    _refuse_apart(info, "interlaced")
    found = _cadence(info, part)
    late, whole, film = found.share("P-"), found.share("W"), _film_share(found)
    if _is_euro(info, found):
        raise MediaError(
            "is film at 24 frames a second in 25 by Euro pulldown (a field twice in every 25), which is not"
            " undone; --deinterlace on would make whole frames of it"
        )
    if late > _WHOLE_FILM and "P" in found.letters:
        return FieldChoice(
            pulldown=found,
            notes=("2:2 pulldown, one field late; frames are woven of two, at their own rate",),
        )
    if whole > _WHOLE_FILM:
        return FieldChoice(
            notes=(
                "its frames are whole (2:2 pulldown, or progressive): --deinterlace ivtc has nothing to do",
            )
        )
    if film < _SOME_FILM and late + whole < 1 - _SOME_FILM:
        raise MediaError(
            "shows no pulldown: its fields are of as many moments; --deinterlace on would make frames of"
            " them, bob one of each field"
        )
    return FieldChoice(pulldown=found, notes=(_in_words(found),))


def _film_share(found: Pulldown) -> float:
    return 1 - found.share("WVP")


def _percent(share: float) -> str:
    return f"{100 * min(share, 0.99):.0f} %" if share < 1 else "all"


def _in_words(found: Pulldown) -> str:
    """An inverse telecine in words."""
    count, breaks, alone = (
        found.results(found.first_frame + len(found.letters)) - found.first_frame,
        found.breaks,
        sum(map(str.islower, found.letters)),
    )
    words = [f"inverse telecine: {count} frames of {len(found.letters)}"]
    if breaks:
        words.append(
            f"the cadence breaks {breaks} time{'s' * (breaks > 1)}, where a frame lasts up to two fields more"
            " or less"
        )
    if alone:
        words.append(f"{alone} of them combed and {'are' if alone > 1 else 'is'} deinterlaced")
    for letter, kind in (
        ("W", "whole frames at their own rate"),
        ("V", "video, deinterlaced at its own rate"),
        ("P", "2:2 pulldown"),
    ):
        number = found.letters.count(letter)
        if number:
            words.append(f"{number} are {kind}")
    return "; ".join(words)


def _is_euro(info: VideoInfo, found: Pulldown) -> bool:
    """Whether progressive frames and frames one field late alternate, a dozen each."""
    runs = (
        found.letters.replace("-P", "PP").replace("-", "W").replace("PW", "P W").replace("WP", "W P").split()
    )
    return 24 < info.rate < 26 and len(runs) >= 3 and all(10 <= len(run) <= 14 for run in runs[1:-1])


def _doubt(scan: ScanType) -> str:
    """Evidence for fields in video that counts as progressive, and which option to use."""
    first = f"{scan.doubt} field first"
    what = (
        f"flagged as interlaced, {first}, but its pictures are whole"
        if scan.found == "pictures"
        else f"some of its pictures look interlaced, {first}"
    )
    return (
        f"{what}: taken for progressive; if the result shows combing, use --deinterlace on (keeps the frame"
        " rate) or --deinterlace bob (doubles it), and --field-order tff or bff if motion judders"
    )


def _whole(scan: ScanType, wanted: str) -> FieldChoice:
    """The choice for progressive video."""
    said = [_SOFT] if scan.pulldown == "soft" else []
    if wanted == "on" or (wanted == "bob" and scan.doubt):
        return _forced(scan, bob=wanted == "bob")
    if scan.doubt and wanted != "off":
        said.append(_doubt(scan))
    nothing = ["it is progressive: --deinterlace bob has nothing to do"] if wanted == "bob" else []
    return FieldChoice(notes=(*said, *nothing))


def _forced(scan: ScanType, *, bob: bool) -> FieldChoice:
    """Apply the user's choice against the evidence."""
    order = scan.doubt or "top"
    known = f"{order} field first{'' if scan.doubt else ' (assumed)'}"
    said = f"taken for progressive; deinterlaced as asked for, {known}, {_RATES[bob].partition(';')[0]}"
    return FieldChoice(Deinterlacing(order, bob=bob), notes=(said,))


def _cadence(info: VideoInfo, part: tuple[int, int]) -> Pulldown:
    """The cadence of a range, from all of its frames.

    From the cache if it was found before.
    """
    first = info.scan.order if info.scan.order != "progressive" else info.scan.doubt or "top"
    start, stop = max(0, part[0] - _BESIDE), min(info.frame_count, part[1] + _BESIDE)
    facts = f"{_VERSION} {info.fingerprint} {info.stream_index} {first} {start} {stop} {info.linear}"
    key = hashlib.sha256(facts.encode()).hexdigest()
    known = read_cached(_TABLE, key)
    if isinstance(known, str):
        try:
            letters = zlib.decompress(b85decode(known)).decode()
        except (ValueError, zlib.error):
            letters = ""
        if len(letters) == stop - start:
            return Pulldown(first, start, letters)
    letters = find_cadence(_facts(info, first, start, stop))
    write_cached(_TABLE, key, b85encode(zlib.compress(letters.encode(), 9)).decode())
    return Pulldown(first, start, letters)


def _facts(info: VideoInfo, first: str, start: int, stop: int) -> np.ndarray:
    """Collect facts with child processes, each for a segment.

    Facts of a frame depend only on a few around it, so the split doesn't matter.
    """
    cores = usable_cores()
    each = stop - start if info.linear else min(_STRETCH, max(_SMALLEST, -(-(stop - start) // cores)))
    bounds = [*range(start, stop, each), stop]
    if len(bounds) == 2:
        return match_fields(info, first, start, stop)

    def look(begin: int, end: int) -> np.ndarray:
        seconds = _STARTING_SECONDS + _SECONDS_A_FRAME * (end - begin)
        found: np.ndarray = call_in_child(
            "pipelines.interlacing.field_matching:match_fields", info, first, begin, end, seconds=seconds
        )
        return found

    with ThreadPoolExecutor(cores) as pool:
        return np.concatenate(list(pool.map(look, bounds[:-1], bounds[1:])))
