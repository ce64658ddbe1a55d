"""Recordings of screens and games, and animated images: read, or refused with a remedy."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests import media
from tests.helpers.command import COPIED_AS_FFV1

IDENTITY = (*COPIED_AS_FFV1, "--device", "cpu")


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("zmbv", "bgr0", ".avi"),
        ("zmbv", "rgb555le", ".avi"),
        ("flashsv", "bgr24", ".flv"),
        ("msvideo1", "rgb555le", ".avi"),
    ],
)
def test_recordings_of_screens_are_read(here, tmp_path: Path, codec: str, pix_fmt: str, suffix: str) -> None:
    """Five bits a sample as well."""
    source = tmp_path / f"in{suffix}"
    with av.open(str(source), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for number in range(6):
            frame = media.picture(number, 64, 48).reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    outcome = here("run", source, "-o", tmp_path / "out.mkv", *IDENTITY)
    assert outcome.code == 0, outcome.err
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        pairs = list(zip(before.decode(video=0), after.decode(video=0), strict=True))
    assert len(pairs) == 6
    for shown, made in pairs:
        difference = np.abs(shown.to_ndarray(format="rgb24").astype(int) - made.to_ndarray(format="rgb24"))
        assert difference.max() <= (0 if "bgr" in pix_fmt else 8)


def test_an_animated_webp_is_refused_with_what_to_do(here, tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((48, 64, 3), 60 * n, np.uint8)) for n in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    for command in ("probe", "plan"):
        here(command, tmp_path / "a.webp").refused(3, "is an animated WebP", "numbered pictures")


@pytest.mark.parametrize("codec", ["rv10", "rv20"])
def test_films_of_realvideo_s_first_years_are_read(here, tmp_path: Path, codec: str) -> None:
    source = tmp_path / "in.rm"
    with av.open(str(source), "w", format="rm") as output:
        stream = output.add_stream(codec, rate=25, options={"g": "5", "q:v": "2", "flags": "+qscale"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            frame = media.picture(number, 64, 48)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    outcome = here("run", source, "-o", tmp_path / "out.mkv", *IDENTITY, "--chunk-seconds", "0.1")
    assert outcome.code == 0, outcome.err
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        pairs = list(zip(before.decode(video=0), after.decode(video=0), strict=True))
    assert len(pairs) == 12
    for shown, made in pairs:
        assert (shown.to_ndarray(format="yuv420p") == made.to_ndarray(format="yuv420p")).all()
