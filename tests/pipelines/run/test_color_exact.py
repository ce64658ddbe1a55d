"""Colour through a whole run, checked against the formulas of the standards alone. Cases 30 to 34."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from pipelines.frames.film_frames import FilmSamples
from pipelines.media.pixel_format import Orientation
from pipelines.probe.probe import open_film, probe
from tests import media
from tests.helpers import patches
from tests.helpers.inline import upscaled
from tests.helpers.view import decoded, frames, planes

pytestmark = pytest.mark.usefixtures("inline")

NETWORKS = ("lanczos", "rgb", "fast-x2")
MATRICES = {"601-525": (6, 6, 6), "601-625": (5, 5, 5), "709": (1, 1, 1), "2020nc": (9, 9, 14)}
"""Name -> matrix, primaries, transfer."""


@functools.cache
def _found(name: str) -> object:
    return find_cards(name)


@pytest.fixture(scope="module")
def rgb_network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A foreign RGB network of scale 2 that is all there but for its last layer, which adds next to
    nothing.
    """
    return str(foreign(tmp_path_factory.mktemp("weights") / "rgb.safetensors", last=0.0))


def foreign(path: Path, last: float) -> Path:
    """An SRVGGNet as spandrel knows it, with random weights. last: how large those of its last layer are."""
    generator = torch.Generator().manual_seed(1)
    state: dict[str, torch.Tensor] = {}
    for place, (into, out) in {0: (3, 16), 2: (16, 16), 4: (16, 12)}.items():
        state[f"body.{place}.weight"] = torch.randn(out, into, 3, 3, generator=generator) * (
            last if place == 4 else 0.15
        )
        state[f"body.{place}.bias"] = torch.zeros(out)
        if place < 4:
            state[f"body.{place + 1}.weight"] = torch.full((out,), 0.25)
    save_file(state, path)
    return path


def run(
    source: Path, output: Path, network: str, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> Path:
    for module in ("network_choice", "video_planner"):
        monkeypatch.setattr(f"pipelines.planner.{module}.find_cards", _found)
    upscaled(source, output, model=network, **{"scale": 2, "codec": "ffv1", **settings})
    return output


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", MATRICES)
def test_patches_look_the_same_through_every_matrix_range_depth_and_subsampling(
    name: str, network: str, rgb_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 30: mean ΔE2000 at most 0.5, none above 1."""
    matrix, primaries, transfer = MATRICES[name]
    model = rgb_network if network == "rgb" else network
    worst = 0.0
    for full in (False, True):
        for bits in (8, 10) if network != "lanczos" or name != "709" else (8, 10, 12):
            for sub in ("420", "422", "444"):
                pix_fmt = f"yuv{sub}p{f'{bits}le' if bits > 8 else ''}"
                tags = (matrix, 1 + full, primaries, transfer)
                board = patches.board(pix_fmt, matrix, full=full, bits=bits)
                source = patches.write_planes(tmp_path / "in.mkv", [board], pix_fmt, tags)
                output = run(source, tmp_path / "out.mkv", model, monkeypatch, overwrite=True)
                (frame,) = decoded(output)
                assert frame.format.name == pix_fmt
                assert (
                    int(frame.colorspace),
                    int(frame.color_range),
                    int(frame.color_primaries),
                    int(frame.color_trc),
                ) == tags
                found = patches.differences(output)
                assert found.mean() <= 0.5, (pix_fmt, full, found)
                assert found.max() <= 1.0, (pix_fmt, full, found)
                worst = max(worst, float(found.max()))
    assert worst > 0.001  # rounding to codes is always seen; none would mean nothing was looked at


@pytest.mark.parametrize("network", NETWORKS)
def test_untagged_sd_leaves_with_tags_that_are_true(
    network: str, rgb_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 31: a player would take the large result for BT.709 if it did not say otherwise."""
    board = patches.board("yuv420p", 5, full=False, bits=8)
    tall = [np.concatenate([p] * 6, 0) for p in board]  # 576 lines: the 625-line form
    source = patches.write_planes(tmp_path / "in.mkv", [tall], "yuv420p", (2, 0, 2, 2))
    output = run(source, tmp_path / "out.mkv", rgb_network if network == "rgb" else network, monkeypatch)
    frame = decoded(output)[0]
    assert (frame.height, int(frame.colorspace), int(frame.color_range), int(frame.color_primaries)) == (
        1152,
        5,
        1,
        5,
    )
    assert int(frame.color_trc) == 1
    first = patches.seen_in([p[: p.shape[0] // 6] for p in planes(frame)], 5, full=False, bits=8)
    assert patches.delta_e_2000(patches.lab(first), patches.lab(patches.PATCHES)).max() <= 1.0


SITINGS = {
    "left": (0, 0.0, -0.25),
    "center": (1, 0.0, 0.0),
    "topleft": (2, -0.25, -0.25),
    "top": (3, -0.25, 0.0),
}
"""Name -> chroma_sample_loc_type, vertical and horizontal offset in chroma samples (H.273 figure 1)."""


def bump(
    width: int, height: int, offset: tuple[float, float], centre: tuple[float, float], spread: float
) -> np.ndarray:
    """Chroma codes of a soft spot at `centre` (y, x), in luma pixels, as samples of that siting see it."""
    y, x = np.mgrid[0 : height // 2, 0 : width // 2]
    y, x = 2 * (y + 0.5 + offset[0]), 2 * (x + 0.5 + offset[1])
    return np.rint(
        128 + 90 * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * spread**2))
    ).astype(np.uint8)


def centroid(plane: np.ndarray, offset: tuple[float, float]) -> np.ndarray:
    """(y, x) of a spot in luma pixels."""
    weight = np.clip(plane.astype(float) - 130, 0, None)
    y, x = np.mgrid[0 : plane.shape[0], 0 : plane.shape[1]]
    return (
        2
        * np.array([(weight * (y + 0.5 + offset[0])).sum(), (weight * (x + 0.5 + offset[1])).sum()])
        / weight.sum()
    )


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", SITINGS)
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_chroma_stays_where_it_lies(
    codec: str, name: str, network: str, rgb_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 32: by the bitstream's word (x264) or the container's (Matroska), to a tenth of a luma pixel of
    the result.
    """
    kind, *offset = SITINGS[name]
    width, height, spot = 96, 80, (41.3, 46.6)
    chroma = bump(width, height, tuple(offset), spot, 7.0)
    values = [np.full((height, width), 120, np.uint8), chroma, chroma]
    options = {"x264-params": f"chromaloc={kind}"} if codec == "libx264" else {"chroma_sample_location": name}
    source = patches.write_planes(tmp_path / "in.mkv", [values], "yuv420p", (1, 1, 1, 1), codec, **options)
    output = run(source, tmp_path / "out.mkv", rgb_network if network == "rgb" else network, monkeypatch)
    assert probe(output).color.siting == probe(source).color.siting == kind_of(kind)
    before = centroid(chroma, tuple(offset))
    assert np.abs(before - spot).max() < 0.02
    for plane in planes(decoded(output)[0])[1:]:
        assert np.abs(centroid(plane, tuple(offset)) - 2 * before).max() < 0.1


def kind_of(loc_type: int) -> int:
    """As FFmpeg counts chroma_sample_loc_type."""
    return loc_type + 1


@pytest.mark.parametrize("network", NETWORKS)
def test_a_turned_picture_s_chroma_stays_where_it_lies(
    network: str, rgb_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 32: left-sited chroma lies at the top once a picture is turned; the result is left-sited again."""
    width, height, spot = 96, 80, (41.3, 46.6)
    chroma = bump(width, height, (0.0, -0.25), spot, 7.0)
    source = patches.write_planes(
        tmp_path / "in.mkv",
        [[np.full((height, width), 120, np.uint8), chroma, chroma]],
        "yuv420p",
        (1, 1, 1, 1),
    )

    def turned(*arguments: Any, **options: Any) -> FilmSamples:
        film = open_film(*arguments, **options)
        film.info = replace(film.info, orientation=Orientation(transpose=True, flip_x=True))
        return film

    monkeypatch.setattr("pipelines.planner.video_planner.open_film", turned)
    output = run(source, tmp_path / "out.mkv", rgb_network if network == "rgb" else network, monkeypatch)
    frame = decoded(output)[0]
    assert (frame.width, frame.height) == (2 * height, 2 * width)
    expected = 2 * np.array([spot[1], height - spot[0]])
    for plane in planes(frame)[1:]:
        assert np.abs(centroid(plane, (0.0, -0.25)) - expected).max() < 0.1


@pytest.mark.parametrize("network", ["lanczos", "rgb", "live", "fast-x2"])
def test_a_ten_bit_ramp_keeps_its_codes(
    network: str, rgb_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 33: a foreign network in bf16, its last layer at work, included."""
    model = {"rgb": rgb_network, "live": str(foreign(tmp_path / "live.safetensors", last=0.002))}.get(
        network, network
    )
    ramp = np.tile(np.arange(64, 941, dtype=np.uint16).repeat(2)[None], (16, 1))
    full = np.tile(np.arange(1024, dtype=np.uint16).repeat(2)[None], (16, 1))
    for values, range_, least in ((full, 2, 1000), (ramp, 1, 870)):
        grey = np.full((8, values.shape[1] // 2), 512, np.uint16)
        source = patches.write_planes(
            tmp_path / "in.mkv", [[values, grey, grey]], "yuv420p10le", (1, range_, 1, 1)
        )
        output = run(source, tmp_path / "out.mkv", model, monkeypatch, overwrite=True)
        luma = planes(decoded(output)[0])[0][8:24].astype(int)
        assert len(np.unique(luma)) >= least
        steps = np.diff(luma[8, 16:-16:4])  # one of every code of the source
        assert np.abs(steps).max() <= 3, "bands"


def test_the_measure_of_colour_difference_is_the_published_one() -> None:
    """Pairs 1, 7, 17, 25 and 34 of Sharma, Wu, Dalal (2005), table 1."""
    pairs = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425), ((50, 0, 0), (50, -1, 2), 2.3669), ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644), ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ]  # fmt: skip
    for one, other, expected in pairs:
        assert abs(float(patches.delta_e_2000(np.array(one), np.array(other))) - expected) < 1e-4


def test_a_foreign_network_in_bf16_ends_in_fp32(rgb_network: str) -> None:
    """Case 33: codes of ten bits go in, and as many come out."""
    module = load_network(find_cards(rgb_network)[0]).module
    ramp = (torch.arange(1024) / 1023).reshape(1, 1, 1, -1).expand(1, 3, 8, -1).contiguous()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        out = module(ramp)  # type: ignore[arg-type]
    assert out.dtype == torch.float32  # type: ignore[attr-defined]
    assert len(torch.unique((out * 1023).round())) >= 1000  # type: ignore[operator]


def test_ten_bits_brought_down_to_eight_are_the_same_however_the_work_is_cut(tmp_path: Path) -> None:
    """Case 34: rounded, not dithered at random."""
    source = media.cfr(tmp_path / "in.mkv", frames=16, codec="ffv1", pix_fmt="yuv420p10le", b_frames=0, gop=1)
    found = []
    for name, seconds in (("many", 0.2), ("one", 1e6), ("again", 1e6)):
        upscaled(source, tmp_path / f"{name}.mkv", pixel_format="yuv420p", chunk_seconds=seconds)
        found.append([f.digest for f in frames(tmp_path / f"{name}.mkv")])
    assert found[0] == found[1] == found[2]
    before, after = decoded(source)[3], decoded(tmp_path / "one.mkv")[3]
    for a, b in zip(planes(before), planes(after), strict=True):
        assert np.abs(b.astype(float) - a / 4).max() <= 0.5


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("name", MATRICES)
def test_yuv_becomes_rgb_and_rgb_becomes_yuv_by_the_tags(name: str, bits: int, tmp_path: Path) -> None:
    """Case 30: into R'G'B' by the source's matrix, out of it by the one the result is tagged with."""
    matrix, primaries, transfer = MATRICES[name]
    deep = "" if bits == 8 else "10le"
    board = patches.board(f"yuv444p{deep}", matrix, full=False, bits=bits)
    source = patches.write_planes(
        tmp_path / "in.mkv", [board], f"yuv444p{deep}", (matrix, 1, primaries, transfer)
    )
    middle, output = tmp_path / "rgb.mkv", tmp_path / "out.mkv"
    upscaled(source, middle, pixel_format=f"gbrp{deep}", model="bicubic", scale=2)
    (frame,) = decoded(middle)
    if bits == 8:
        frame = frame.reformat(format="gbrp")  # FFV1 keeps R'G'B' of 8 bits packed
    green, blue, red = (p.astype(float) / ((1 << bits) - 1) for p in planes(frame))
    side = 2 * patches.SIDE
    rgb = np.stack([red, green, blue], -1)[side // 2 :: side, side // 2 :: side].reshape(-1, 3)
    found = patches.delta_e_2000(patches.lab(rgb), patches.lab(patches.PATCHES))
    assert found.mean() <= 0.5, found
    assert found.max() <= 1.0, found
    upscaled(middle, output, pixel_format=f"yuv444p{deep}", model="bicubic", scale=2)
    assert int(decoded(output)[0].colorspace) == (9 if primaries == 9 else 1)
    assert patches.differences(output).max() <= 1.0


@pytest.mark.parametrize(("suffix", "codec"), [("png", "h264"), ("jpg", "h264"), ("jpg", "prores")])
def test_a_film_of_pictures_has_their_colours(tmp_path: Path, suffix: str, codec: str) -> None:
    """Case 30: the result's matrix is BT.709 and its range limited, whatever the pictures' are."""
    for number in range(2):
        rgb = (
            patches.PATCHES.reshape(patches.ROWS, patches.COLUMNS, 3)
            .repeat(patches.SIDE, 0)
            .repeat(patches.SIDE, 1)
        )
        frame = av.VideoFrame.from_ndarray((rgb * 255).round().astype(np.uint8), format="rgb24")
        with av.open(str(tmp_path / f"p_{number}.{suffix}"), "w", format="image2") as output:
            stream = output.add_stream("png" if suffix == "png" else "mjpeg", rate=1, options={"qscale": "1"})
            stream.width, stream.height, stream.pix_fmt = (
                frame.width,
                frame.height,
                "rgb24" if suffix == "png" else "yuvj444p",
            )
            output.mux(
                stream.encode(
                    frame if suffix == "png" else frame.reformat(format="yuvj444p", dst_colorspace=5)
                )
            )
            output.mux(stream.encode(None))
    crf = {} if codec == "prores" else {"crf": 1.0, "preset": "ultrafast"}
    upscaled(tmp_path / f"p_%d.{suffix}", tmp_path / "out.mov", model="bicubic", scale=2, codec=codec, **crf)
    shown = decoded(tmp_path / "out.mov")[0]
    assert (int(shown.colorspace), int(shown.color_range)) == (1, 1)
    assert patches.differences(tmp_path / "out.mov").max() <= 1.5
