"""What each preset takes and gives on real clips: `python -m tests.benchmarks.presets [--write] [--seconds S] [--preset NAME] CLIP...`.

Of each clip, the first seconds go through each preset as it is: frames a second on this machine, and megabytes a minute of film. Then
a copy of half the size, encoded as cameras and sites do (H.264, CRF 20), goes through it back to the clip's own size: VMAF-NEG
against the clip. Prints a line a preset and clip; --write puts them into the headers of configs/run/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

from vsr.presets import presets

_MARK = "# Measured: "


def ffmpeg(*arguments: str) -> None:
    """Run the bundled FFmpeg. Raises CalledProcessError."""
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


def upscaled(*arguments: str) -> dict[str, float]:
    """The closing event of a run."""
    command = [sys.executable, "-m", "vsr", "run", *arguments, "--fresh", "--overwrite", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return next(e for e in map(json.loads, done.stdout.splitlines()) if e["event"] == "done")  # type: ignore[no-any-return]


def vmaf_neg(result: Path, truth: Path, folder: Path) -> float:
    """Mean VMAF-NEG (v0.6.1) of two clips of one size and length."""
    log = folder / "vmaf.json"
    graph = f"[0:v]settb=AVTB,setpts=N[a];[1:v]settb=AVTB,setpts=N[b];[a][b]libvmaf=log_fmt=json:log_path={log}:n_threads={os.cpu_count()}:model=version=vmaf_v0.6.1neg"
    ffmpeg("-i", str(result), "-i", str(truth), "-lavfi", graph, "-f", "null", "-")
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])


def measured(name: str, clip: Path, seconds: float, folder: Path) -> str:
    """One line: clip, speed, size, VMAF-NEG."""
    from pipelines.probe import probe

    truth, half, full, back = (folder / n for n in ("truth.mkv", "half.mp4", "full.mkv", "back.mkv"))
    ffmpeg("-t", str(seconds), "-i", str(clip), "-an", "-sn", "-dn", "-vf", "crop=trunc(iw/4)*4:trunc(ih/4)*4", "-c:v", "ffv1", str(truth))
    ffmpeg("-i", str(truth), "-vf", "scale=iw/2:ih/2:flags=area", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "20", str(half))
    info = probe(truth)
    run = upscaled(str(truth), "-o", str(full), "--config", name)
    upscaled(str(half), "-o", str(back), "--config", name, "--scale", "2")
    length = float(Fraction(int(run["frames"])) / info.rate)
    score = vmaf_neg(back, truth, folder)
    return f"{clip.name} {info.width}x{info.height}: {run['fps']:.2f} fps, {run['bytes'] / 1e6 / length * 60:.0f} MB a minute, VMAF-NEG {score:.1f}"


def write(path: Path, lines: list[str]) -> None:
    """Replace a preset's measured lines, behind the first two of its header."""
    kept = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(_MARK)]
    path.write_text("\n".join([*kept[:2], *(_MARK + line for line in lines), *kept[2:]]) + "\n", encoding="utf-8")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--preset", action="append")
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, without a GPU" if not Path("/proc/driver/nvidia").exists() else "with a GPU"
    for preset in presets():
        if preset.name == "default" or (given.preset and preset.name not in given.preset):
            continue
        lines = [f"first {given.seconds:g} s of each clip on {machine}; VMAF-NEG: from half the size, H.264 CRF 20, back to its own"]
        for clip in given.clips:
            with tempfile.TemporaryDirectory() as folder:
                lines.append(measured(preset.name, clip, given.seconds, Path(folder)))
            print(f"{preset.name:<11} {lines[-1]}", flush=True)
        if given.write:
            write(preset.path, lines)


if __name__ == "__main__":
    main()
