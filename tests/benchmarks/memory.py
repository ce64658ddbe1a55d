"""Measures the peak memory of a run with its children.

`python -m tests.benchmarks.memory [SECONDS...] [-- RUN OPTIONS]` generates a 1080p clip of each length (a
moving pattern with grain, 24 fps), upscales it to 4K and prints the peak of the summed resident set size
(RSS) of the process and its children, sampled four times per second. This is an upper bound, because shared
memory is counted for each process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from pipelines.diagnostics.benchmark import make_clip


def run_command(clip: Path, output: Path, *options: str) -> list[str]:
    """`vsr run` from the start, whatever is there."""
    return [
        sys.executable,
        "-m",
        "vsr",
        "run",
        str(clip),
        "-o",
        str(output),
        "--fresh",
        "--overwrite",
        *options,
    ]


def peak_bytes(command: list[str]) -> tuple[int, float]:
    """(highest summed RSS, seconds) of a command and its children.

    Raises CalledProcessError where it fails.
    """
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        parent = psutil.Process(process.pid)
        while process.poll() is None:
            total = 0
            try:
                for member in [parent, *parent.children(recursive=True)]:
                    total += member.memory_info().rss
            except psutil.Error:
                pass
            peak = max(peak, total)
            time.sleep(0.25)
        if process.returncode:
            raise subprocess.CalledProcessError(
                process.returncode, command, stderr=process.stderr.read() if process.stderr else b""
            )
    return peak, time.monotonic() - began


def main() -> None:
    """Measure each length."""
    arguments = sys.argv[1:]
    options = arguments[arguments.index("--") + 1 :] if "--" in arguments else []
    lengths = [int(a) for a in arguments[: arguments.index("--") if "--" in arguments else None]] or [10]
    with tempfile.TemporaryDirectory() as folder:
        for seconds in lengths:
            clip = Path(folder) / f"clip{seconds}.mp4"
            make_clip(clip, seconds)
            peak, took = peak_bytes(run_command(clip, Path(folder) / "out.mkv", "--quiet", *options))
            print(
                f"{seconds:4d} s  {' '.join(options) or 'defaults':<50} peak {peak / 1e9:.2f} GB  {took:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
