"""Upscales special files of a folder, and reports the results as a Markdown table.

    python -m tests.benchmarks.material FOLDER [-o TABLE.md]

These are HDR, interlaced, rotated, anamorphic, 4:2:2, 4:4:4 and alpha files. Each file is upscaled completely
(fast ×2, or the first second of it); the output is read back by PyAV alone and compared with the expected
properties in the table. Exits with 1 if one of them is neither correct nor refused in one line.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import pytest

from models.errors import VsrError
from pipelines.media.cicp import HDR_TRANSFERS, Transfer
from pipelines.media.hdr_metadata import equal_within_units, static_metadata
from pipelines.media.pixel_format import PixelFormat, planar_format
from pipelines.probe.probe import probe
from tests.helpers.inline import planned_of, upscaled, without_processes

if TYPE_CHECKING:
    from pipelines.media.video_info import VideoInfo
    from pipelines.plan.plan import Plan

_SUFFIXES = {
    ".mp4",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".ts",
    ".mpg",
    ".flv",
    ".3gp",
    ".h264",
    ".ivf",
    ".av1",
    ".gif",
    ".m4v",
    ".heic",
    ".png",
}
_MOST_SAMPLES = 3_000_000
"""Of luma that go through the network; of a longer film a part."""
_LEAST_HEVC = 64


@dataclass(frozen=True)
class Row:
    """One file."""

    name: str
    traits: str
    source: str
    result: str
    said: str
    good: bool


def traits_of(info: VideoInfo) -> list[str]:
    """What is special about a file; nothing for most."""
    found = []
    if info.color.transfer in HDR_TRANSFERS:
        found.append(Transfer(info.color.transfer).name)
    if info.hdr:
        found.append("HDR10 metadata")
    if info.interlaced:
        found.append("interlaced")
    if info.orientation:
        found.append("rotated")
    if info.sar != 1:
        found.append(f"SAR {info.sar}")
    pixels = info.pixels
    if pixels.family == "rgb":
        found.append("R'G'B'")
    elif pixels.family == "yuv" and (pixels.sub_x, pixels.sub_y) != (1, 1):
        found.append("4:4:4" if not pixels.sub_x else "4:2:2")
    if pixels.alpha:
        found.append("alpha")
    if any("without its" in n for n in info.notes):
        found.append("extras")
    return found


def outcome(path: Path, folder: Path, home: Path) -> Row | None:
    """Upscale one file and check the output; None for a file without any of the traits."""
    name = str(path.relative_to(home))
    try:
        info = probe(path)
    except VsrError as error:
        text = str(error).replace(str(path), path.name)
        told = any(w in text for w in ("Dolby Vision", "matrix", "pixel format"))
        return (
            Row(name, "", "", f"refused (exit {error.exit_code})", text, "\n" not in text) if told else None
        )
    traits = traits_of(info)
    if not traits:
        return None
    source = f"{info.width}x{info.height} {info.pix_fmt}"
    try:
        result, said, good = _run(path, folder, info)
    except VsrError as error:
        text = str(error).replace(str(path), path.name)
        result, said, good = (
            f"refused (exit {error.exit_code})",
            text,
            "\n" not in text and error.exit_code in {2, 3, 4},
        )
    return Row(name, ", ".join(traits), source, result, said, good)


def _run(path: Path, folder: Path, info: VideoInfo) -> tuple[str, str, bool]:
    settings: dict[str, object] = {
        "scale": 2,
        "model": "fast",
        "codec": "hevc",
        "preset": "draft",
        "drop_incompatible": True,
    }
    if min(info.upright_size) * 2 < _LEAST_HEVC:
        settings["codec"] = "h264"
    area = info.width * info.height
    if area * info.frame_count > _MOST_SAMPLES and info.frame_count > 3:
        frames = max(3, _MOST_SAMPLES // area)
        if frames < info.frame_count:
            settings["range"] = f"0-{float((info.pts[frames] - info.pts[0]) * info.time_base):.4f}"
    target = folder / f"out{len(list(folder.iterdir()))}"
    target.mkdir()
    events = upscaled(path, target, **settings)
    planned = planned_of(events)
    notes = [n for n in planned.info.notes if not n.startswith(("assumed", "Matroska keeps"))]
    result, wrong = _read_back(Path(planned.output), planned.plan)
    return result, "; ".join(wrong or [*notes, *planned.dropped]), not wrong


def _read_back(output: Path, plan: Plan) -> tuple[str, list[str]]:
    """The properties of an output, and those that are not as expected."""
    with av.open("file:" + str(output)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        sar = Fraction(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    first, color = frames[0], plan.out_color
    tags = (int(first.colorspace), int(first.color_range), int(first.color_primaries), int(first.color_trc))
    pixels = planar_format(first.format.name)
    checks = {
        "frames": len(frames) == plan.frame_count,
        "size": (first.width, first.height) == (plan.out_width, plan.out_height),
        "depth": pixels.bits >= PixelFormat.parse(plan.pix_fmt).bits or plan.encoder.is_picture,
        "tags": plan.encoder.is_picture
        or tags == (color.matrix, color.range, color.primaries, color.transfer),
        "metadata": equal_within_units(static_metadata(first), plan.hdr) or plan.encoder.is_picture,
        "HDR depth": color.transfer not in HDR_TRANSFERS or pixels.bits >= 10,
        "shape": abs(sar / plan.sar - 1) < Fraction(1, 200),
        "combs": not first.interlaced_frame,
    }
    wrong = [f"WRONG: {name}" for name, good in checks.items() if not good]
    shape = f", SAR {sar.limit_denominator(1000)}" if sar != 1 else ""
    return f"{first.width}x{first.height} {first.format.name}, tags {'/'.join(map(str, tags))}{shape}", wrong


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = [
        "| file | traits | source | result (matrix/range/primaries/transfer) | said before work starts |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.traits} | {r.source} | {'' if r.good else '**WRONG** '}{r.result} | {r.said.replace('|', '/')} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="Default: standard output.")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        without_processes(patch)
        for path in sorted(p for p in given.folder.rglob("*") if p.suffix.lower() in _SUFFIXES):
            row = outcome(path, Path(folder), given.folder)
            if row is not None:
                rows.append(row)
                print(f"{'ok   ' if row.good else 'WRONG'} {row.name}: {row.result}", file=sys.stderr)
    text = table(rows)
    if given.output is not None:
        given.output.write_text(text, encoding="utf-8")
    else:
        print(text)
    sys.exit(any(not r.good for r in rows))


if __name__ == "__main__":
    main()
