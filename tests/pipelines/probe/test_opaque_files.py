"""Files that FFmpeg decodes with alpha, but that have none, are written without alpha."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.probe.probe import probe
from tests.helpers.inline import upscaled
from tests.pipelines.run.test_pixel_formats_run import notes

Image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.usefixtures("inline")

IDENTITY = {"scale": 1, "model": "identity"}


def painted() -> Image.Image:
    rows, columns = np.mgrid[:48, :64]
    return Image.fromarray(
        np.stack([rows * 5, columns * 4, 255 - rows * 2 - columns], axis=-1).astype(np.uint8)
    )


def saved(path: Path, kind: str) -> Path:
    """A picture of a kind: (mode or palette, with or without transparency)."""
    picture, more = painted(), {}
    if kind == "CMYK":
        picture = picture.convert("CMYK")
    elif "palette" in kind:
        picture = picture.quantize(32)
    if kind == "palette with transparency":
        more = {"transparency": 3}
    if kind == "RGBA":
        picture.putalpha(Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))))
    if path.suffix == ".webp":
        more["lossless"] = kind != "lossy"
    if kind == "palettes":
        more = {"save_all": True, "append_images": [picture.rotate(180)], "duration": 40}
    picture.save(path, **more)
    return path


def read(path: Path, mode: str = "") -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode or picture.mode))


def mode_of(path: Path) -> str:
    with Image.open(path) as picture:
        return str(picture.mode)


@pytest.mark.parametrize(
    ("name", "kind", "has_alpha"),
    [
        ("in.jpg", "CMYK", False),
        ("in.png", "palette", False),
        ("in.png", "palette with transparency", True),
        ("in.png", "RGBA", True),
        ("in.bmp", "palette", False),
        ("in.tif", "palette", False),
        ("in.gif", "palette", False),
        ("in.gif", "palettes", False),
        ("in.gif", "palette with transparency", True),
        ("in.webp", "RGB", False),
        ("in.webp", "RGBA", True),
    ],
)
def test_what_has_no_alpha_gets_none(tmp_path: Path, name: str, kind: str, has_alpha: bool) -> None:
    source = saved(tmp_path / name, kind)
    info = probe(source)
    assert info.pixels.family == "rgb"
    assert info.pixels.alpha is has_alpha
    if info.is_picture:
        events = upscaled(source, tmp_path / "out.png", **IDENTITY)
        assert mode_of(tmp_path / "out.png") == ("RGBA" if has_alpha else "RGB")
        shown = read(tmp_path / "out.png", "RGB").astype(int)
        wanted = read(source, "RGB").astype(int)
        assert np.abs(shown - wanted).max() <= (2 if kind == "CMYK" else 0)
        assert "alpha" not in notes(events)


def test_cmyk_is_named_for_what_it_is(tmp_path: Path) -> None:
    source = saved(tmp_path / "in.jpg", "CMYK")
    upscaled(source, tmp_path / "out.jpg", **IDENTITY)
    assert any("CMYK inks" in note for note in probe(source).notes)
    assert mode_of(tmp_path / "out.jpg") == "RGB"


@pytest.mark.parametrize("kind", ["RGB", "RGBA"])
def test_a_lossless_webp_stays_so(tmp_path: Path, kind: str) -> None:
    source = saved(tmp_path / "in.webp", kind)
    upscaled(source, tmp_path / "out.webp", **IDENTITY)
    one, other = (read(tmp_path / name, "RGBA") for name in ("in.webp", "out.webp"))
    assert (one[..., 3] == other[..., 3]).all()
    seen = one[..., 3] > 0
    assert (one[seen] == other[seen]).all()


def test_a_webp_of_another_picture_is_said_to_lose_chroma(tmp_path: Path) -> None:
    events = upscaled(saved(tmp_path / "in.png", "RGB"), tmp_path / "out.webp", **IDENTITY)
    assert "becomes 4:2:0 with loss" in notes(events)
    source = saved(tmp_path / "in.webp", "lossy")
    assert probe(source).pixels.family == "yuv"
    events = upscaled(source, tmp_path / "again.webp", **IDENTITY)
    assert "with loss" not in notes(events)
