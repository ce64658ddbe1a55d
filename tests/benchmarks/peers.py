"""Runs the same network on the same clip in the way of other tools.

`make peers`, or `python -m tests.benchmarks.peers`. Same machine, same clip, same network (as large as
Real-ESRGAN's video network, SRVGGNetCompact 64x16 ×2, with random weights), same encoder settings, one after
another:

    vsr          `vsr run`
    script       like Real-ESRGAN's inference_realesrgan_video.py: FFmpeg's raw RGB pipe, fp32 torch, FFmpeg's pipe
    ncnn         the same pipes, the network in ncnn (fp16/bf16 storage as it chooses)
    openvino     the same pipes, the exported network in OpenVINO with its latency hint, bf16 if the CPU has it
    onnxruntime  the same pipes, the exported network in onnxruntime
    lanczos      `ffmpeg -vf scale=…:flags=lanczos`: the lower limit

Prints frames per second, CPU seconds and peak memory of each, relative to vsr, and the PSNR against the
script's output. `--quick` uses a tiny clip; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import psutil
import torch

from pipelines.diagnostics.benchmark import make_clip
from tests.benchmarks.rates import srvgg_weights
from tests.benchmarks.report import table, tell

ENCODER = ["-c:v", "libx264", "-preset", "superfast", "-crf", "18", "-pix_fmt", "yuv420p"]
SLOW = {"script": 4, "ncnn": 6}
"""Frames that these are given; the others more."""
Upscale = Callable[[np.ndarray], np.ndarray]
"""(H,W,3) uint8 R'G'B' -> the same twice as large."""


def script(weights: Path, size: tuple[int, int]) -> Upscale:
    """fp32 torch, as the script runs without CUDA."""
    from spandrel import ModelLoader

    model = ModelLoader(device="cpu").load_from_file(str(weights)).model.eval()  # type: ignore[union-attr]

    @torch.inference_mode()
    def upscale(picture: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
        return (model(x)[0].clamp_(0, 1).permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()

    return upscale


def exported(weights: Path, size: tuple[int, int]) -> Path:
    """The network as ONNX, for one size of picture."""
    from models.catalog.lookup import find_cards
    from pipelines.model_files.onnx_export import write_onnx

    path = weights.with_suffix(f".{size[0]}x{size[1]}.onnx")
    if not path.exists():
        write_onnx(find_cards(str(weights))[0], path, size=size)
    return path


def onnxruntime(weights: Path, size: tuple[int, int]) -> Upscale:
    """onnxruntime on all cores."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(exported(weights, size)), providers=["CPUExecutionProvider"])
    return _planar(lambda x: session.run(None, {"rgb": x})[0])


def openvino(weights: Path, size: tuple[int, int]) -> Upscale:
    """OpenVINO on all cores; it uses bf16 by default if the CPU supports it."""
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(
        core.read_model(str(exported(weights, size))), "CPU", {"PERFORMANCE_HINT": "LATENCY"}
    )
    return _planar(lambda x: compiled(x)[0])


def ncnn(weights: Path, size: tuple[int, int]) -> Upscale:
    """ncnn on all cores, with the network converted by pnnx."""
    import ncnn as runtime
    import pnnx

    path = exported(weights, size)
    stem = path.with_suffix("")
    if not Path(f"{stem}.ncnn.param").exists():
        from spandrel import ModelLoader

        model = ModelLoader(device="cpu").load_from_file(str(weights)).model.eval()  # type: ignore[union-attr]
        pnnx.export(model, f"{stem}.pt", (torch.rand(1, 3, size[1], size[0]),))
    net = runtime.Net()
    net.opt.num_threads = len(os.sched_getaffinity(0))
    net.load_param(f"{stem}.ncnn.param")
    net.load_model(f"{stem}.ncnn.bin")

    def run(x: np.ndarray) -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input("in0", runtime.Mat(np.ascontiguousarray(x[0])).clone())
            _, out = extractor.extract("out0")
            return np.array(out)[None]

    return _planar(run)


def _planar(run: Callable[[np.ndarray], np.ndarray]) -> Upscale:
    def upscale(picture: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray((picture.astype(np.float32) / 255).transpose(2, 0, 1)[None])
        return (run(x)[0].clip(0, 1).transpose(1, 2, 0) * 255).round().astype(np.uint8)

    return upscale


PIPED: dict[str, Callable[[Path, tuple[int, int]], Upscale]] = {
    "script": script,
    "ncnn": ncnn,
    "openvino": openvino,
    "onnxruntime": onnxruntime,
}


def piped(name: str, clip: Path, out: Path, weights: Path, size: tuple[int, int], frames: int) -> list[float]:
    """Frames of a clip through FFmpeg's pipe, a network and FFmpeg's pipe; when each frame was handed on."""
    from imageio_ffmpeg import get_ffmpeg_exe

    upscale = PIPED[name](weights, size)
    width, height = size
    read = [
        get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        str(clip),
        "-frames:v",
        str(frames),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    write = [
        get_ffmpeg_exe(),
        "-v",
        "error",
        "-y",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{2 * width}x{2 * height}",
        "-r",
        "24",
        "-i",
        "-",
        *ENCODER,
        str(out),
    ]
    times = []
    with (
        subprocess.Popen(read, stdout=subprocess.PIPE) as reader,
        subprocess.Popen(write, stdin=subprocess.PIPE) as writer,
    ):
        assert reader.stdout is not None
        assert writer.stdin is not None
        while len(data := reader.stdout.read(3 * width * height)) == 3 * width * height:
            writer.stdin.write(upscale(np.frombuffer(data, np.uint8).reshape(height, width, 3)).tobytes())
            times.append(time.monotonic())
        writer.stdin.close()
    return times


def measured(command: list[str]) -> tuple[dict[str, float], list[str]]:
    """(CPU seconds and peak bytes of a command with all its children, seconds), its lines."""
    began, cpu, peak, before = time.monotonic(), {}, 0, _reaped()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        parent = psutil.Process(process.pid)
        while process.poll() is None:
            total = 0
            try:
                for member in [parent, *parent.children(recursive=True)]:
                    total += member.memory_full_info().pss
                    used = member.cpu_times()
                    cpu[member.pid] = used.user + used.system
            except psutil.Error:
                pass
            peak = max(peak, total)
            time.sleep(0.2)
        assert process.stdout is not None
        assert process.stderr is not None
        lines, errors = process.stdout.read().splitlines(), process.stderr.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {errors[-2000:]}")
    # What ended between two looks is in what was reaped; what its parent did not wait for, in the last look.
    return {
        "cpu": max(_reaped() - before, sum(cpu.values())),
        "peak": peak,
        "seconds": time.monotonic() - began,
    }, lines


def _reaped() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(clip: Path, out: Path, weights: Path, frames: int) -> dict[str, float]:
    """`vsr run`; seconds per frame between its first and its last report."""
    options = [
        "--scale",
        "2",
        "--model",
        str(weights),
        "--device",
        "cpu",
        "--codec",
        "h264",
        "--preset",
        "superfast",
        "--crf",
        "18",
    ]
    command = [
        sys.executable,
        "-m",
        "vsr",
        "run",
        str(clip),
        "-o",
        str(out),
        "--fresh",
        "--json",
        "--range",
        f"0-{frames / 24}",
        *options,
    ]
    program = (
        "import subprocess, sys, time\n"
        "with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True) as p:\n"
        "    for line in p.stdout: print(time.monotonic(), line, end='', flush=True)\n"
        "sys.exit(p.returncode)\n"
    )
    found, lines = measured([sys.executable, "-c", program, *command])
    reports = [(float(text.split(" ", 1)[0]), json.loads(text.split(" ", 1)[1])) for text in lines]
    progress = [(t, e["frames"]) for t, e in reports if e["event"] == "progress"]
    (begun, first), (ended, last) = progress[0], progress[-1]
    found["frame"] = (ended - begun) / max(1, last - first) if last > first else found["seconds"] / frames
    return found


def floor(clip: Path, out: Path, size: tuple[int, int], frames: int) -> dict[str, float]:
    """FFmpeg's own scaler."""
    from imageio_ffmpeg import get_ffmpeg_exe

    scale = f"scale={2 * size[0]}:{2 * size[1]}:flags=lanczos"
    found, _ = measured(
        [
            get_ffmpeg_exe(),
            "-v",
            "error",
            "-y",
            "-i",
            str(clip),
            "-frames:v",
            str(frames),
            "-vf",
            scale,
            *ENCODER,
            str(out),
        ]
    )
    found["frame"] = found["seconds"] / frames
    return found


def decibels(a: Path, b: Path) -> float:
    """PSNR of luma between two results, over the frames that both have."""
    with av.open(str(a)) as one, av.open(str(b)) as other:
        errors = []
        for x, y in zip(one.decode(video=0), other.decode(video=0), strict=False):
            lumas = [np.asarray(f.to_ndarray()[: f.height], np.float64) for f in (x, y)]
            errors.append(float(np.square(lumas[0] - lumas[1]).mean()))
    return 10 * float(np.log10(255**2 / max(1e-9, statistics.mean(errors))))


def main() -> None:
    """Measure all, or (`--as`) be one of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=[*PIPED, "lanczos"], default=[*PIPED, "lanczos"])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument(
        "--as",
        dest="role",
        nargs=6,
        metavar=("NAME", "CLIP", "OUT", "WEIGHTS", "WxH", "FRAMES"),
        help=argparse.SUPPRESS,
    )
    given = parser.parse_args()
    if given.role:
        name, clip, out, weights, text, count = given.role
        width, height = map(int, text.split("x"))
        print(json.dumps(piped(name, Path(clip), Path(out), Path(weights), (width, height), int(count))))
        return
    size, frames = ((64, 48), 6) if given.quick else ((1280, 720), given.frames)
    found: dict[str, dict[str, float]] = {}
    missing = []
    with tempfile.TemporaryDirectory(prefix="vsr-peers-") as place:
        folder = Path(place)
        clip = make_clip(folder / "clip.mp4", frames / 24 + 1, width=size[0], height=size[1])
        weights = srvgg_weights(folder / "srvgg.safetensors", depth=2 if given.quick else 16)
        outs = {name: folder / f"{name}.mkv" for name in ("vsr", *PIPED, "lanczos")}
        found["vsr"] = {**ours(clip, outs["vsr"], weights, frames), "frames": frames}
        for name in given.only:
            print(f"{name} …", file=sys.stderr, flush=True)
            count = min(frames, SLOW.get(name, frames))
            if name == "lanczos":
                found[name] = {**floor(clip, outs[name], size, frames), "frames": frames}
                continue
            role = [name, str(clip), str(outs[name]), str(weights), f"{size[0]}x{size[1]}", str(count)]
            try:
                numbers, lines = measured([sys.executable, "-m", "tests.benchmarks.peers", "--as", *role])
            except RuntimeError as error:
                missing.append(f"{name}: {str(error).strip().splitlines()[-1]}")
                continue
            times = json.loads(lines[-1])
            found[name] = {
                **numbers,
                "frames": count,
                "frame": statistics.median(b - a for a, b in zip(times, times[1:], strict=False)),
            }
        rows = []
        for name, one in found.items():
            near = (
                f"{decibels(outs[name], outs['script']):.1f} dB"
                if name not in {"script", "lanczos"} and "script" in found
                else ""
            )
            cells = [f"{1 / one['frame']:.2f}", f"{found['vsr']['frame'] / one['frame']:.2f}"]
            cells += [
                f"{one['cpu'] / one['frames']:.2f}",
                f"{one['peak'] / 1e9:.2f}",
                f"{one['peak'] / found['vsr']['peak']:.2f}",
                near,
            ]
            rows.append((name, *cells))
    head = (
        "tool",
        "fps",
        "times vsr's",
        "CPU s per frame",
        "peak GB",
        "times vsr's",
        "PSNR against script",
    )
    notes = "".join(f"\n\n{m}" for m in missing)
    tell(
        "peers",
        table(head, rows)
        + "\n\nCPU seconds and memory include start and end; frames per second don't."
        + notes,
        given.write,
    )


if __name__ == "__main__":
    main()
