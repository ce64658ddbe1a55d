"""Facts of a file, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.codec.expected_frames import ExpectedFrames
from pipelines.media.cicp import Matrix, Primaries, Range, Siting, Transfer
from pipelines.plan.color_tags import resolve_tags
from vsr.views.text import printable

if TYPE_CHECKING:
    from enum import IntEnum

    from pipelines.media.pixel_format import Orientation
    from pipelines.media.video_info import VideoInfo

__all__ = ["info_table", "info_text", "info_words"]


def _name(kind: type[IntEnum], value: int) -> str:
    return kind(value).name if value in list(kind) else str(value)


def info_table(info: VideoInfo) -> dict[str, Any]:
    """The facts of `vsr probe --json`."""
    resolved, assumed = resolve_tags(
        info.color,
        info.pixels,
        height=info.height,
        codec=info.codec,
        picture=info.made_of_pictures,
    )
    return {
        "path": info.path,
        "format": info.format,
        "codec": info.codec,
        "width": info.width,
        "height": info.height,
        "pix_fmt": info.pix_fmt,
        "crop": {
            "top": info.crop.top,
            "bottom": info.crop.bottom,
            "left": info.crop.left,
            "right": info.crop.right,
        },
        "sar": str(info.sar),
        "frames": info.frame_count,
        "frames_counted": info.linear,
        "time_base": str(info.time_base),
        "rate": str(info.rate),
        "start_pts": info.pts[0],
        "first_pts": info.pts[0],
        "last_pts": info.pts[-1],
        "last_duration": info.durations[-1],
        "seconds": float(info.seconds),
        "vfr": info.vfr,
        "interlaced": info.interlaced,
        "scan": {
            "order": info.scan.order,
            "found": info.scan.found,
            "pulldown": info.scan.pulldown,
            "doubt": info.scan.doubt,
        },
        "orientation": {
            "transpose": info.orientation.transpose,
            "flip_x": info.orientation.flip_x,
            "flip_y": info.orientation.flip_y,
        },
        "color": {
            "matrix": _name(Matrix, resolved.matrix),
            "range": _name(Range, resolved.range),
            "primaries": _name(Primaries, resolved.primaries),
            "transfer": _name(Transfer, resolved.transfer),
            "siting": _name(Siting, resolved.siting),
            "assumed": list(assumed),
        },
        "changes": [{"frame": place, "what": change} for place, change in info.changes],
        "captions": info.captions,
        "dynamic_hdr": {
            "hdr10_plus": info.dynamic_hdr.hdr10_plus,
            "dolby_vision_profile": info.dynamic_hdr.dolby_vision or None,
        },
        "chapters": info.chapters,
        "clean_points": sum(info.index.clean),
        "streams": [
            {
                "index": s.index,
                "type": s.type,
                "codec": s.codec,
                "language": s.language,
                "title": s.title,
                "packets": s.packet_count,
                "cover": s.is_cover,
            }
            for s in info.streams
        ],
        "notes": list(info.notes),
    }


def info_text(info: VideoInfo) -> str:
    """The facts of `vsr probe` as text."""
    table = info_table(info)
    color = table["color"]
    assumed = f" (assumed: {', '.join(color['assumed'])})" if color["assumed"] else ""
    counted = " (counted by decoding)" if info.linear else ""
    is_still = info.made_of_pictures and info.frame_count == 1
    times = (
        f"  frames    {info.frame_count}{counted} in {table['seconds']:.3f} s; time base"
        f" {info.time_base}, first timestamp {info.pts[0]}"
    )
    lines = [
        info.path,
        f"  {'picture' if is_still else 'video':<9} {_picture_words(info, is_still=is_still)}",
        *([] if is_still else [times]),
        f"  colour    {_color_words(color)}{assumed}",
    ]
    if info.orientation:
        lines.insert(2, f"  turned    {_turn_words(info.orientation)}")
    dynamic = info.dynamic_hdr
    names = ["HDR10+"] * dynamic.hdr10_plus + [f"Dolby Vision {dynamic.dolby_vision}"] * bool(
        dynamic.dolby_vision
    )
    if names:
        lines.append(f"  metadata  {', '.join(names)} in every frame")
    for stream in info.streams:
        if stream.type == "data" and stream.codec == "text" and not stream.packet_count:
            continue  # titles of the chapters of MP4 and MOV
        words = [
            f"  {stream.type:<9}",
            stream.codec,
            "" if stream.language == "und" else stream.language,
            f'"{stream.title}"' if stream.title else "",
            "(cover art)" if stream.is_cover else "",
        ]
        lines.append(" ".join(w for w in words if w))
    if info.chapters:
        lines.append(f"  chapters  {info.chapters}")
    if info.interlaced or info.scan.pulldown or info.scan.doubt:
        order = (
            f"interlaced, {info.scan.order} field first (by its {info.scan.found})"
            if info.interlaced
            else "progressive"
        )
        if info.scan.doubt:
            why = "flagged" if info.scan.found == "pictures" else "some pictures look"
            order += f" by its pictures, though {why} {info.scan.doubt} field first"
        lines.append(f"  scan      {order}{f', {info.scan.pulldown} telecine' if info.scan.pulldown else ''}")
    for n, change in info.changes:
        expected = ExpectedFrames(info.pts[n : n + 1], number=n, clock=info.decoder.clock)
        lines.append(f"  refused   {expected.change_error(0, change)}")
    return "\n".join(map(printable, [*lines, *(f"  note      {n}" for n in info.notes)]))


def _turn_words(turn: Orientation) -> str:
    """How a player rotates and flips the stored image."""
    quarter = {(True, False): "a quarter to the right", (False, True): "a quarter to the left"}
    if turn.transpose:
        return f"{quarter.get((turn.flip_x, turn.flip_y), 'a quarter, and mirrored,')} when it is shown"
    if turn.flip_x and turn.flip_y:
        return "upside down when it is shown"
    return "mirrored when it is shown"


def _picture_words(info: VideoInfo, *, is_still: bool) -> str:
    """Codec, size, rate and sample format; the pixel aspect ratio if it isn't 1:1."""
    pixels = info.pixels
    chroma = {
        (0, 0): "4:4:4", (1, 0): "4:2:2", (1, 1): "4:2:0", (2, 0): "4:1:1", (2, 2): "4:1:0", (0, 1): "4:4:0",
    }.get((pixels.sub_x, pixels.sub_y), "")  # fmt: skip
    kind = {"gray": "grey", "rgb": "RGB"}.get(pixels.family, chroma)
    shape = "" if info.sar == 1 else f", pixels not square (SAR {info.sar.numerator}:{info.sar.denominator})"
    number = f"{float(info.rate):.3f}".rstrip("0").rstrip(".")
    rate = "" if is_still else f" {number} fps{' (variable)' if info.vfr else ''},"
    return f"{info.codec} {info.width}x{info.height}{shape},{rate} {pixels.bits} bits {kind} ({info.pix_fmt})"


def _color_words(color: dict[str, Any]) -> str:
    """The colour tags; each by its name if they differ."""
    names = {kind: color[kind] for kind in ("matrix", "primaries", "transfer")}
    same = len(set(names.values())) == 1
    said = color["matrix"] if same else ", ".join(f"{kind} {name}" for kind, name in names.items())
    return f"{said}, {color['range'].lower()} range, chroma sited {color['siting'].lower()}"


def info_words(info: VideoInfo) -> list[str]:
    """The lines of `info_text` without the file name, each beginning with its label (video, colour …)."""
    return [line.strip() for line in info_text(info).split("\n")[1:]]
