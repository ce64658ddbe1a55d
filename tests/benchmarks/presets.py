"""Measures speed, size and quality of each preset on real clips.

`python -m tests.benchmarks.presets [--write] [--start S] [--seconds S] [--preset NAME] CLIP...`. A part of
each clip is upscaled with each preset: frames per second on this machine, from the first report of a finished
frame until the last chunk is stored, and megabytes per minute of film. Then a copy of half the size, encoded
as by cameras and websites (H.264, CRF 20), is upscaled to the clip's own size: VMAF-NEG against the clip.
Prints a line for each preset and clip; --write puts them into the headers of configs/run/ and from there into
docs/batches.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from tests.benchmarks.memory import run_command
from vsr.presets import presets

_MARK = "# Measured: "
PAGE = Path(__file__).resolve().parents[2] / "docs" / "batches.md"


def ffmpeg(*arguments: str) -> None:
    """Run the bundled FFmpeg. Raises CalledProcessError."""
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


def upscaled(clip: Path, output: Path, *options: str) -> tuple[float, int, int]:
    """Frames a second, frames and bytes of a run. Raises CalledProcessError."""
    command = run_command(clip, output, "--json", *options)
    first: tuple[float, int] | None = None
    last, done = 0.0, {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for event in map(json.loads, process.stdout):
            if event["event"] == "progress":
                first = first or (time.monotonic(), event["frames"])
            elif event["event"] == "chunk":
                last = time.monotonic()
            elif event["event"] == "done":
                done = event
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    assert first is not None
    timed = done["frames"] - first[1]
    rate = timed / (last - first[0]) if timed else done["fps"]  # all of a tiny clip is told at once
    return rate, done["frames"], done["bytes"]


def vmaf_neg(result: Path, truth: Path, folder: Path) -> float:
    """Mean VMAF-NEG (v0.6.1) of two clips of one size and length."""
    log = folder / "vmaf.json"
    graph = f"[0:v]settb=AVTB,setpts=N[a];[1:v]settb=AVTB,setpts=N[b];[a][b]libvmaf=log_fmt=json:log_path={log}:n_threads={os.cpu_count()}:model=version=vmaf_v0.6.1neg"
    ffmpeg("-i", str(result), "-i", str(truth), "-lavfi", graph, "-f", "null", "-")
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


def measured(name: str, clip: Path, start: float, seconds: float, folder: Path) -> str:
    """One line: clip, speed, size, VMAF-NEG."""
    from pipelines.probe.probe import probe

    truth, half, full, back = (folder / n for n in ("truth.mkv", "half.mp4", "full.mkv", "back.mkv"))
    part = ("-ss", str(start), "-t", str(seconds), "-i", str(clip))
    ffmpeg(*part, "-an", "-sn", "-dn", "-vf", "crop=trunc(iw/4)*4:trunc(ih/4)*4", "-c:v", "ffv1", str(truth))
    ffmpeg(
        "-i",
        str(truth),
        "-vf",
        "scale=iw/2:ih/2:flags=area",
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx264",
        "-crf",
        "20",
        str(half),
    )
    info = probe(truth)
    fps, frames, size = upscaled(truth, full, "--config", name)
    upscaled(half, back, "--config", name, "--scale", "2")
    score = vmaf_neg(back, truth, folder)
    made = f"{clip.name}, {frames} frames of {info.width}x{info.height}"
    return f"{made}: {fps:.2g} fps, {size / 1e6 / float(Fraction(frames) / info.rate) * 60:.0f} MB a minute, VMAF-NEG {score:.1f}"


def write(path: Path, lines: list[str]) -> None:
    """Replace a preset's measured lines, after the first two lines of its header."""
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(_MARK)]
    path.write_text(
        "\n".join([*kept[:2], *(_MARK + line for line in lines), *kept[2:]]) + "\n", encoding="utf-8"
    )


def table() -> str:
    """The contents of the headers, for the page; presets that were never measured are left out."""
    lines = [f"- `{p.name}`: {'; '.join(p.measured)}." for p in presets() if p.measured]
    said = ["Speed and size, by `python -m tests.benchmarks.presets`:", "", *lines, ""] if lines else []
    return "\n".join(["<!-- measured -->", "", *said, "<!-- end -->"])


def documented(text: str) -> str:
    """A page with the figures from the headers."""
    return re.sub(r"<!-- measured -->.*?<!-- end -->", lambda _: table(), text, flags=re.DOTALL)


def main() -> None:
    """Measure the requested presets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--preset", action="append")
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores of {platform.machine()}, {'with' if Path('/proc/driver/nvidia').exists() else 'without'} a GPU"
    for preset in presets():
        if preset.name == "default" or (given.preset and preset.name not in given.preset):
            continue
        lines = []
        for clip in given.clips:
            with tempfile.TemporaryDirectory() as folder:
                lines.append(measured(preset.name, clip, given.start, given.seconds, Path(folder)))
            print(f"{preset.name:<11} {lines[-1]}", flush=True)
        if given.write:
            write(
                preset.path,
                [
                    *lines,
                    f"on {machine}; VMAF-NEG: scaled to half size, encoded by x264 at CRF 20, upscaled ×2",
                ],
            )
            PAGE.write_text(documented(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
