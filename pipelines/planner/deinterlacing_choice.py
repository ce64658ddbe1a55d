"""What is done about fields: by their evidence, and by what `--deinterlace` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import MediaError
from pipelines.plan.plan import Deinterlacing

if TYPE_CHECKING:
    from pipelines.media.video_info import Scan, VideoInfo

__all__ = ["choose_deinterlacing"]


def choose_deinterlacing(info: VideoInfo, wanted: str) -> tuple[Deinterlacing | None, list[str]]:
    """What is done about fields, and what a person should know of it.

    Raises MediaError where interlaced video is not wanted.
    """
    scan = info.scan
    if scan.order == "progressive":
        said = (
            ["soft telecine (pulldown flags): its film frames keep their own times"]
            if scan.pulldown == "soft"
            else []
        )
        if wanted == "on" or (wanted == "bob" and scan.doubt):
            return _forced(scan, bob=wanted == "bob")
        if scan.doubt and wanted != "off":
            said.append(_doubt(scan))
        return None, [
            *said,
            *(["it is progressive: --deinterlace bob has nothing to do"] if wanted == "bob" else []),
        ]
    kind = "hard-telecined film (3:2 pulldown)" if scan.pulldown == "hard" else "interlaced"
    what = f"{kind}, {scan.order} field first by its {scan.found}"
    if wanted == "refuse":
        raise MediaError(f"is {what}; --deinterlace auto would make whole frames of it")
    if wanted == "off":
        return None, [f"{what}; its lines are upscaled as they are, because of --deinterlace off"]
    if info.codec == "hevc" and scan.found == "flags":
        raise MediaError(
            f"is {what}, and HEVC keeps each field as a picture of its own; weave it first, or upscale the"
            " fields with --deinterlace off"
        )
    how = _RATES[wanted == "bob"]
    if scan.pulldown == "hard":
        how += "; an inverse telecine before would give back the film's own frames"
    return Deinterlacing(scan.order, bob=wanted == "bob"), [f"{what}; deinterlaced {how}"]


_RATES = {
    True: "at field rate, two frames of each",
    False: "at frame rate; --deinterlace bob would keep the motion of every field",
}


def _doubt(scan: Scan) -> str:
    """What speaks for fields in video that was taken for progressive, and what to type."""
    first = f"{scan.doubt} field first"
    what = (
        f"flagged as interlaced, {first}, but its pictures are whole"
        if scan.found == "pictures"
        else f"some of its pictures look interlaced, {first}"
    )
    return (
        f"{what}: taken for progressive; if it combs, --deinterlace on (frame rate) or bob (field rate) would"
        " deinterlace it"
    )


def _forced(scan: Scan, *, bob: bool) -> tuple[Deinterlacing, list[str]]:
    """What a person asked for against what was found."""
    order = scan.doubt or "top"
    known = f"{order} field first{'' if scan.doubt else ' (assumed)'}"
    return Deinterlacing(order, bob=bob), [
        f"taken for progressive; deinterlaced as asked for, {known}, {_RATES[bob].partition(';')[0]}"
    ]
