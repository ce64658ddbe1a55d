"""Compares presets of x264 and x265 on upscaled clips.

`python -m tests.benchmarks.encoder_presets CLIP...`. The middle of some frames of each clip is upscaled by
two, losslessly, with `vsr run --model fast`, then encoded by one thread of FFmpeg at the default CRF of `vsr
run`, preset by preset. Prints CPU milliseconds per megapixel, kilobits per megapixel and VMAF-NEG against the
frames before encoding, for each clip.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path

from tests.benchmarks.memory import run_command
from tests.benchmarks.presets import ffmpeg, vmaf_neg

WIDTH, HEIGHT, FRAMES = 480, 272, 48
TRIED = {
    "libx264": ("18", ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")),
    "libx265": ("19", ("ultrafast", "superfast", "veryfast", "fast", "medium")),
}


def cpu_seconds() -> float:
    """CPU time of all child processes that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def upscaled(clip: Path, start: float, folder: Path) -> Path:
    """The middle of a clip, twice as large, without loss. Raises CalledProcessError."""
    import subprocess

    part, made = folder / "part.mkv", folder / "large.mkv"
    ffmpeg(
        "-ss", str(start), "-i", str(clip), "-an", "-sn", "-dn", "-frames:v", str(FRAMES),
        "-vf", f"crop={WIDTH}:{HEIGHT},format=yuv420p", "-c:v", "ffv1", str(part),
    )  # fmt: skip
    command = run_command(part, made, "--json", "--model", "fast", "--scale", "2", "--codec", "ffv1")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return made


def main() -> None:
    """Measure each clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--start", type=float, default=0.0)
    given = parser.parse_args()
    megapixels = 4 * WIDTH * HEIGHT * FRAMES / 1e6
    for clip in given.clips:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source = upscaled(clip, given.start, folder)
            for encoder, (crf, presets) in TRIED.items():
                for preset in presets:
                    made, begun = folder / "made.mkv", cpu_seconds()
                    ffmpeg(
                        "-threads", "1", "-i", str(source), "-c:v", encoder, "-threads", "1", "-preset", preset,
                        "-crf", crf, *(("-x265-params", "log-level=error:pools=1") if "265" in encoder else ()),
                        str(made),
                    )  # fmt: skip
                    spent, size = cpu_seconds() - begun, made.stat().st_size
                    print(
                        f"{clip.name} {encoder} {preset} {1e3 * spent / megapixels:.0f} ms"
                        f" {8e-3 * size / megapixels:.0f} kbit {vmaf_neg(made, source, folder):.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
