"""Runs `vsr run` on tracks of every kind, from FFmpeg's own tables.

`python -m tests.pairs [--first SEED] [--count N]` prints every failure. A seed is a film with one more track:
a container that FFmpeg writes, an encoder from its tables, channels, rate and times of the track, or an
option of the film's encoder, and the container of the output. The result must be an output that PyAV alone
finds correct, or exit 2, 3 or 4 with one line before any work is done, but not a refusal of a track that the
muxer, tested with PyAV alone, accepts and returns unchanged.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import av
import numpy as np

from tests import media
from tests.helpers.command import COPIED_AS_H264
from tests.helpers.figures import record
from tests.helpers.forked import told_by_fork, vsr_forked
from tests.helpers.judge import read, wrong_with

CONTAINERS = {
    "in.mp4": "mp4", "in.mov": "mov", "in.mkv": "matroska", "in.avi": "avi", "in.ts": "mpegts", "in.mpg": "vob", "in.flv": "flv",
    "in.asf": "asf", "in.nut": "nut", "in.3gp": "3gp", "in.mxf": "mxf", "in.wtv": "wtv", "in.webm": "webm", "in.ogg": "ogg",
}  # fmt: skip
FILMS = {
    "mpegts": "libx264",
    "vob": "mpeg2video",
    "asf": "wmv2",
    "mxf": "mpeg2video",
    "webm": "libvpx",
    "ogg": "libvpx",
    "avi": "mpeg4",
}
RESULTS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
OPTIONS = (
    "g", "bf", "qmin", "qmax", "qcomp", "threads", "level", "profile", "tune", "crf", "qp", "b", "maxrate", "bufsize", "refs", "coder", "flags", "slices",
    "x264-params", "x265-params", "svtav1-params", "aq-mode", "rc-lookahead", "me_range", "nal-hrd", "psy-rd", "strict", "err_detect", "pix_fmt", "nonsense",
    "keyint_min", "sc_threshold", "force_key_frames", "sar", "aspect", "time_base", "color_range", "field_order", "ticks_per_frame", "compression_level",
)  # fmt: skip
"""Of encoders and of FFmpeg's own context."""
TEXTS = ("subrip", "ass", "mov_text", "webvtt")
LAYOUTS = ("mono", "stereo", "2.1", "5.1", "7.1")
RATES = (8000, 22050, 44100, 48000, 96000)
_SECONDS = 0.4
_TRIES = 40
"""Choices until one is found that FFmpeg writes."""


@dataclass(frozen=True)
class Ending:
    """How a seed ended."""

    seed: int
    what: str
    said: str
    bad: str
    """Empty: a good end."""


@cache
def encoders() -> tuple[str, ...]:
    """Names of all encoders of sound that open here."""
    names = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except ValueError:
            continue
        if codec.type == "audio":
            names.append(name)
    return tuple(names)


def pairs(first: int, count: int, folder: Path) -> Iterator[Ending]:
    """The ends of `count` seeds."""
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            yield _ending(seed, Path(place))


def _ending(seed: int, folder: Path) -> Ending:
    dice = random.Random(seed)
    kind = dice.choices(("sound", "text", "film", "option"), (70, 10, 10, 10))[0]
    if kind == "option":
        return _option(seed, dice, folder)
    for number in range(_TRIES):
        source = folder / dice.choice(sorted(CONTAINERS))
        # Muxers and encoders that are asked for what they can't, raise or end the process.
        what = told_by_fork(partial(_made, random.Random(f"{seed} {number}"), kind, source))
        if what:
            break
    else:
        return Ending(seed, f"no {kind} that FFmpeg writes", "", "")
    suffix = dice.choice(["", *RESULTS])
    target = folder / "out" if not suffix else folder / f"out{suffix}"
    (folder / "out").mkdir()
    return _run(seed, f"{what} -> {suffix or 'anywhere'}", source, target, ())


def _run(seed: int, what: str, source: Path, target: Path, more: tuple[str, ...]) -> Ending:
    done = vsr_forked("run", source, "-o", target, *QUICK, *more)
    said = " / ".join(line for line in (done.err + done.out).splitlines() if line.strip())
    made = [
        p for p in (target.iterdir() if target.is_dir() else [target]) if p.exists() and p.suffix in RESULTS
    ]
    if done.code == 0:
        given = read(source)
        # Of several films the one is judged that FFmpeg chooses in the source; tracks keep their places.
        bad = "; ".join(wrong_with(given, read(made[0], given.film), 1, said)) if made else "no result"
    elif done.code not in {2, 3, 4} or "Traceback" in said:
        bad = f"exit {done.code}"
    elif sum(line.startswith("vsr: ") for line in done.err.splitlines()) != 1:
        bad = "not one line"
    elif any(p.name.endswith(".vsr-work") for p in source.parent.rglob("*")):
        bad = "refused after work"
    elif (
        "can't hold" in said
        and "end to end" not in said
        and not more
        and _holds(source, RESULTS.get(target.suffix, "matroska"))
    ):
        bad = "refused, and the muxer holds it"
    else:
        bad = ""
    return Ending(seed, what, said, bad)


QUICK = (
    *COPIED_AS_H264,
    "--device",
    "cpu",
    "--deinterlace",
    "off",
)


def _made(dice: random.Random, kind: str, path: Path) -> str:
    """Write a film with one more track; in words what it is."""
    container = CONTAINERS[path.name]
    film = media.Film(
        frames=10,
        rate=Fraction(25),
        codec=FILMS.get(container, "libx264"),
        b_frames=0 if container in {"avi", "mxf"} else 2,
    )
    film = replace(film, b_frames=0) if film.codec in {"wmv2", "libvpx"} else film
    output = media._open(path, container)
    try:
        first = media._add_film(output, film)
        edit = dice.choice(("none", "none", "late", "hole", "jitter", "early"))
        if kind == "film":
            other = replace(film, size=(96, 64), first_number=40, b_frames=dice.choice((0, film.b_frames)))
            second = media._add_film(output, other)
            output.start_encoding()
            packets, what = media.packets_of(second, other), f"a second film of {other.codec}"
        elif kind == "text":
            codec = dice.choice(TEXTS)
            track = output.add_mux_stream(codec)
            track.time_base = Fraction(1, 1000)
            output.start_encoding()
            events = tuple((100 * n, dice.choice((50, 150)), f"line {n}") for n in range(4))
            packets, what = media._subtitle_packets(track, media.Subtitle(codec, events)), f"{codec}"
        else:
            codec, rate, layout = dice.choice(encoders()), dice.choice(RATES), dice.choice(LAYOUTS)
            track = output.add_stream(codec, rate=rate, layout=layout, options={"strict": "-2"})
            output.start_encoding()
            packets, what = _sound(track, rate, layout), f"{codec} {rate} {layout}"
        _edited(dice, edit, packets)
        media._mux(output, [*media.packets_of(first, film), *packets])
    finally:
        output.close()
    if not any(t.packets for t in read(path).tracks if t.kind != "video") and kind != "film":
        raise ValueError("the track did not arrive")
    return f"{what}, {edit}, in {container}"


def _sound(track: av.AudioStream, rate: int, layout: str) -> list[av.Packet]:
    """A sine, in the format the encoder likes best."""
    context = track.codec_context
    size = context.frame_size or 1024
    packets, count = [], int(_SECONDS * rate)
    resampler = av.AudioResampler(
        format=context.format, layout=layout, rate=rate, frame_size=context.frame_size or None
    )
    channels = len(av.AudioLayout(layout).channels)
    for start in range(0, count, size):
        block = (12000 * np.sin(np.arange(start, min(count, start + size)) / 11)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(block, channels)[None], format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        for ready in resampler.resample(frame):
            packets += track.encode(ready)
    return [*packets, *track.encode(None)]


def _edited(dice: random.Random, edit: str, packets: list[av.Packet]) -> None:
    """Times as no encoder gives them."""
    start = dice.randrange(1, max(2, len(packets)))
    for number, packet in enumerate(packets):
        second = round(1 / packet.time_base)
        move = {"late": second // 7, "early": -second // 9, "hole": second // 3 * (number >= start)}.get(
            edit, 0
        )
        if edit == "jitter" and number % 2:
            move = (packet.duration or 0) // 3
        if packet.pts is not None and packet.dts is not None:
            packet.pts, packet.dts = packet.pts + move, packet.dts + move


def _holds(source: Path, container: str) -> bool:
    """Whether the tracks beside the film go into a container and come back as they were, by PyAV alone."""
    buffer = io.BytesIO()
    try:
        with av.open(str(source)) as given, av.open(buffer, "w", format=container) as output:
            film = output.add_stream("mpeg4", rate=25)
            film.width, film.height = 16, 16
            tracks = {s.index: output.add_stream_from_template(s, opaque=True) for s in given.streams[1:]}
            output.mux(film.encode(av.VideoFrame(16, 16, "yuv420p")))
            output.mux(film.encode(None))
            for packet in given.demux(*(given.streams[n] for n in tracks)):
                if packet.size:
                    packet.stream = tracks[packet.stream.index]
                    output.mux(packet)
        (Path(source.parent) / "held").write_bytes(buffer.getvalue())
        before, after = read(source).tracks[1:], read(source.parent / "held").tracks[1:]
        return len(before) == len(after) and all(
            (a.codec, a.payload.digest()) == (b.codec, b.payload.digest())
            for a, b in zip(before, after, strict=True)
        )
    except (av.error.FFmpegError, ValueError, TypeError, AttributeError, NotImplementedError):
        return False


def _option(seed: int, dice: random.Random, folder: Path) -> Ending:
    """A random value of a random option of an encoder, of its own table or FFmpeg's."""
    source = media.cfr(folder / "in.mp4", frames=4)
    codec, encoder = dice.choice(
        (
            ("h264", "libx264"),
            ("hevc", "libx265"),
            ("av1", "libsvtav1"),
            ("ffv1", "ffv1"),
            ("prores", "prores_ks"),
        )
    )
    name = dice.choice(OPTIONS)
    value = dice.choice(
        [
            "0",
            "1",
            "-1",
            "2",
            "7",
            "1e9",
            "nan",
            "",
            "auto",
            "high",
            "x" * 300,
            "99999999999",
            "0.5",
            "1:2",
            "a=b",
        ]
    )
    more = ("--codec", codec, "--encoder-option", f"{name}={value}")
    quick = [q for q in ("--preset", "12") if codec == "av1"]
    return _run(seed, f"{encoder} {name}={value[:20]}", source, folder / "out.mkv", (*more, *quick))


def main() -> int:
    """Print bad ends; 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--all", action="store_true", help="Print good ends, too.")
    given = parser.parse_args()
    bad = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        for one in pairs(given.first, given.count, Path(folder)):
            bad += bool(one.bad)
            refused += "vsr: " in one.said and not one.bad
            if one.bad or given.all:
                print(
                    f"seed {one.seed}: {one.what}: {one.bad or 'good'}: {one.said.replace(folder, '')[:400]}",
                    flush=True,
                )
    print(f"{given.count} pairs, {bad} bad ends, {refused} refused")
    record(count=given.count, refused=refused)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
