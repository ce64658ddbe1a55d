"""Films and images of every pixel format from file to file, and that a wrong image is detected."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from models.errors import VerificationError
from pipelines.codec import encoder
from pipelines.codec.decoder import picture_planes
from pipelines.frames.thumbnail import grid_for, thumbnail, thumbnail_difference
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import PixelFormat, planar_format
from pipelines.media.video_info import Frame
from pipelines.plan.events import Event
from pipelines.workers.frame_order_check import FrameOrderCheck
from tests.helpers.float_reference import resized
from tests.helpers.inline import planned_of, upscaled
from tests.helpers.view import decoded
from tests.pipelines.inference.test_pixel_formats import plan_for, texture

pytestmark = pytest.mark.usefixtures("inline")

SIZE = (64, 48)


def written(
    path: Path, pix_fmt: str, codec: str, *, frames: int = 3, dim: float = 1.0, encoded: str = ""
) -> list[list[np.ndarray]]:
    """A textured film, or picture, and the planes of its frames.

    dim: darkens it. encoded: what the encoder calls the format.
    """
    pixels = PixelFormat.parse(pix_fmt)
    made = []
    with av.open("file:" + str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, encoded or pix_fmt
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(frames):
            frame = av.VideoFrame(*SIZE, pix_fmt)
            values = [(p * dim).astype(p.dtype) for p in texture(pix_fmt, *SIZE, seed=number)]
            for plane, part in zip(picture_planes(frame, pixels), values, strict=True):
                plane[:] = part
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame.reformat(format=encoded) if encoded else frame))
            made.append(values)
        output.mux(stream.encode(None))
    return made


def shown(path: Path) -> list[list[np.ndarray]]:
    """The planes of a file's frames, R'G'B' as green, blue, red."""
    found = []
    for frame in decoded(path):
        pixels = planar_format(frame.format.name)
        planar = frame if frame.format.name == pixels.name else frame.reformat(format=pixels.name)
        found.append([p.copy() for p in picture_planes(planar, pixels)])
    return found


def notes(events: list[Event]) -> str:
    return "; ".join(planned_of(events).info.notes)


def off(made: np.ndarray, right: np.ndarray) -> float:
    """Root mean square of the difference, in codes."""
    return float(np.sqrt(np.square(made.astype(np.float64) - right.clip(0, 255)).mean()))


@pytest.mark.parametrize("target", [{"scale": 2}, {"to": "100x75", "scale": None}], ids=["whole", "box"])
@pytest.mark.parametrize("model", ["lanczos", "fast"])
def test_a_grey_picture_comes_out_whole(tmp_path: Path, model: str, target: dict[str, object]) -> None:
    """Case 30."""
    (frame,) = written(tmp_path / "in.png", "gray", "png", frames=1)
    upscaled(tmp_path / "in.png", tmp_path / "out.png", model=model, codec="hevc", **target)
    ((made,),) = shown(tmp_path / "out.png")
    right = resized(frame[0], made.shape, "lanczos")
    assert (
        off(made, right) < 1.5
        if model == "lanczos"
        else off(resized(made, (12, 16), "bilinear"), resized(right, (12, 16), "bilinear")) < 2
    )


@pytest.mark.parametrize("codec", ["ffv1", "h264", "hevc", "av1", "prores"])
def test_a_grey_film_goes_into_every_codec(tmp_path: Path, codec: str) -> None:
    """Case 30: FFmpeg gives 4:0:0 back without a matrix; codecs without it take neutral chroma."""
    frames = written(tmp_path / "in.mkv", "gray", "ffv1")
    output = tmp_path / ("out.mov" if codec == "prores" else "out.mkv")
    upscaled(
        tmp_path / "in.mkv",
        output,
        model="lanczos",
        scale=2,
        codec=codec,
        preset={"av1": "12", "prores": "hq", "ffv1": "balanced"}.get(codec, "ultrafast"),
    )
    for made, frame in zip(shown(output), frames, strict=True):
        luma = made[0] / 4 if codec == "prores" else made[0]
        assert off(luma, resized(frame[0], (96, 128), "lanczos")) < (1 if codec == "ffv1" else 14)
        assert all(
            np.abs(p.astype(int) / (16 if codec == "prores" else 1) - 128).max() < 2
            for p in made[1:3]
            if codec == "av1"
        )


@pytest.mark.parametrize("pix_fmt", ["ya8", "ya16le"])
def test_grey_keeps_its_alpha_where_the_result_can_hold_it_and_loses_it_with_a_word(
    tmp_path: Path, pix_fmt: str
) -> None:
    """Case 30."""
    (frame,) = written(
        tmp_path / "in.png", pix_fmt, "png", frames=1, encoded="ya16be" if pix_fmt == "ya16le" else ""
    )
    most = 255 if pix_fmt == "ya8" else 65535
    for suffix in (".png", ".tiff"):
        events = upscaled(tmp_path / "in.png", tmp_path / f"out{suffix}", model="bicubic", scale=2)
        made = shown(tmp_path / f"out{suffix}")[0]
        assert len(made) == 2
        assert np.abs(made[1] - resized(frame[1], (96, 128), "bicubic").clip(0, most)).max() <= 1
        assert "alpha" not in notes(events)
    events = upscaled(tmp_path / "in.png", tmp_path / "out.jpg", model="bicubic", scale=2)
    assert "its alpha is left out" in notes(events)


def test_a_grey_film_with_alpha_keeps_it_in_ffv1_and_goes_through_filters(tmp_path: Path) -> None:
    frames = written(tmp_path / "in.mkv", "ya8", "ffv1")
    upscaled(tmp_path / "in.mkv", tmp_path / "out.mkv", model="nearest", scale=2, prefilter="denoise")
    for made, frame in zip(shown(tmp_path / "out.mkv"), frames, strict=True):
        assert np.array_equal(made[1], frame[1].repeat(2, 0).repeat(2, 1))
    assert "alpha is left out" in notes(
        upscaled(tmp_path / "in.mkv", tmp_path / "out.mp4", model="nearest", scale=2, codec="h264")
    )


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "encoded"),
    [("gbrp", "ffv1", "bgr0"), ("gbrap", "ffv1", "bgra"), ("gbrp10le", "ffv1", ""), ("gbrp16le", "ffv1", ""), ("gbrap16le", "ffv1", ""),
     ("gbrp", "png", "rgb24"), ("gbrap", "qtrle", "argb"), ("gbrp", "rawvideo", "bgr24")],
)  # fmt: skip
def test_rgb_stays_rgb_in_ffv1(tmp_path: Path, pix_fmt: str, codec: str, encoded: str) -> None:
    """Case 30: to the bit."""
    source = tmp_path / (
        "in.mov" if codec in {"qtrle", "png"} else "in.avi" if codec == "rawvideo" else "in.mkv"
    )
    frames = written(source, pix_fmt, codec, encoded=encoded)
    events = upscaled(source, tmp_path / "out.mkv")
    assert planned_of(events).plan.out_pix_fmt == pix_fmt
    assert "Y'CbCr" not in notes(events)
    for made, frame in zip(shown(tmp_path / "out.mkv"), frames, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(made, frame, strict=True))


@pytest.mark.parametrize(
    ("pix_fmt", "name"),
    [("rgb555le", "in.avi"), ("rgb565le", "in.nut"), ("rgb555be", "in.mov"), ("bgr444le", "in.nut")],
)
def test_white_in_a_word_a_pixel_stays_white(tmp_path: Path, pix_fmt: str, name: str) -> None:
    """Case 30: FFmpeg's own conversion makes 248 of the white of five bits."""
    bits = [int(n) for n in pix_fmt[3:6]]
    y, x = np.mgrid[0:48, 0:64]
    codes = [(x * 3 + y * k) % (1 << n) for k, n in enumerate(bits)]
    frame = av.VideoFrame(*SIZE, pix_fmt)
    order = ">u2" if pix_fmt.endswith("be") else "<u2"
    rows = np.frombuffer(frame.planes[0], order).reshape(-1, frame.planes[0].line_size // 2)
    rows[:48, :64] = (codes[0] << bits[1] + bits[2]) + (codes[1] << bits[2]) + codes[2]
    with av.open("file:" + str(tmp_path / name), "w") as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pix_fmt
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        output.mux(stream.encode(frame))
    assert decoded(tmp_path / name)[0].format.name == pix_fmt
    upscaled(tmp_path / name, tmp_path / "out.mkv")
    first, green, last = (np.rint(c * 255 / ((1 << n) - 1)) for c, n in zip(codes, bits, strict=True))
    right = [green, last, first] if pix_fmt.startswith("rgb") else [green, first, last]
    (made,) = shown(tmp_path / "out.mkv")
    assert all(np.array_equal(a, b) for a, b in zip(made, right, strict=True))


def test_rgb_that_becomes_yuv_is_said(tmp_path: Path) -> None:
    written(tmp_path / "in.mkv", "gbrp", "ffv1", encoded="bgr0")
    assert "R'G'B' becomes Y'CbCr (yuv444p), --codec ffv1 would keep it" in notes(
        upscaled(tmp_path / "in.mkv", tmp_path / "out.mp4", codec="h264")
    )


def test_limited_grey_has_its_black_at_zero_in_a_picture(tmp_path: Path) -> None:
    """Pictures have no word for limited range."""
    frames = written(tmp_path / "in.mkv", "gray", "ffv1", frames=2)
    upscaled(tmp_path / "in.mkv", tmp_path / "out_%d.png", model="nearest", scale=2, codec="hevc")
    for number, frame in enumerate(frames, start=1):
        ((made,),) = shown(tmp_path / f"out_{number}.png")
        right = np.rint((frame[0].astype(float) - 16) * 255 / 219).clip(0, 255)
        assert np.array_equal(made[::2, ::2], right)


# --- a wrong picture is noticed


def smeared(plane: np.ndarray) -> np.ndarray:
    """The upper left quarter, the rest smeared out from its edge."""
    height, width = plane.shape
    return np.pad(
        plane[: height // 2, : width // 2], ((0, height - height // 2), (0, width - width // 2)), mode="edge"
    )


@pytest.mark.parametrize("dim", [1.0, 0.15])
@pytest.mark.parametrize("output", ["out.png", "out_%03d.png", "out.tiff", "out.exr", "out.jpg"])
@pytest.mark.parametrize("pix_fmt", ["gray", "gbrp"])
def test_a_wrong_picture_is_noticed_single_or_numbered_bright_or_dim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, pix_fmt: str, dim: float
) -> None:
    """Case 18: a quarter of it and its smear."""
    source = tmp_path / ("in_%03d.png" if "%" in output else "in.png")
    number = 2 if "%" in output else 1
    for n in range(1, number + 1):
        written(
            tmp_path / f"in_{n:03d}.png" if "%" in output else source,
            pix_fmt,
            "png",
            frames=1,
            dim=dim,
            encoded="" if pix_fmt == "gray" else "rgb24",
        )
    upscaled(source, tmp_path / output, model="lanczos", scale=2)
    to_av = encoder._to_av
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.workers.stage_threads.FrameOrderCheck.result", lambda *_: None)
        patch.setattr(
            encoder,
            "_to_av",
            lambda frame, *more: to_av(replace(frame, planes=[smeared(p) for p in frame.planes]), *more),
        )
        with pytest.raises(VerificationError, match="shows something else than its source"):
            upscaled(source, tmp_path / output, model="lanczos", scale=2, fresh=True)


@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_thumbnails_are_of_one_luma_whatever_the_planes_are(matrix: int) -> None:
    """A green of BT.601 is a brighter one by BT.709's weights."""
    grid = grid_for(64, 48)
    rgb = [np.full((48, 64), v, np.uint8) for v in (210, 40, 30)]
    pixels, tags = PixelFormat.parse("gbrp"), ColorTags(0, 2, 1, 1)
    own = thumbnail(rgb, pixels, tags, grid, matrix)
    weights = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
    for other, (kr, kb) in weights.items():
        luma = kr * 30 + (1 - kr - kb) * 210 + kb * 40
        planes = [
            np.full((48, 64), v * 256, np.uint16)
            for v in (luma, 128 + (40 - luma) / (2 - 2 * kb), 128 + (30 - luma) / (2 - 2 * kr))
        ]
        small = thumbnail(planes, PixelFormat.parse("yuv444p16le"), ColorTags(other, 2, 1, 1), grid, matrix)
        assert np.abs(small - own).max() < 1.2


def test_stripes_of_any_period_have_the_thumbnail_of_their_upscale() -> None:
    """All rows count, or what is seen of stripes would be chance."""
    pixels, tags, grid = PixelFormat.parse("gray"), ColorTags(1, 2, 1, 1), grid_for(320, 275)
    for period in (2, 3, 5, 7, 15):
        plane = np.tile(((np.arange(275) % period < period / 2) * 200).astype(np.uint8)[:, None], (1, 320))
        for factor in (2, 3):
            large = plane.repeat(factor, 0).repeat(factor, 1)
            assert (
                np.abs(thumbnail([large], pixels, tags, grid) - thumbnail([plane], pixels, tags, grid)).max()
                < 0.01
            )


# --- and a right one is not


def fade(number: int, bias: int = 0) -> Frame:
    """A flat-ish picture that becomes darker by 0.9 codes a frame, its brightness moved by a network."""
    y, x = np.mgrid[0:48, 0:64]
    values = 120 + 8 * np.sin(x / 9) * np.cos(y / 7) - 0.9 * number
    return Frame(number, [np.clip(np.rint(values) + bias, 0, 255).astype(np.uint8)])


def watched(pictures: list[Frame], bias: int = 0, order: tuple[int, ...] = ()) -> None:
    """Let the witness see a film, and what a network that moves brightness by `bias` made of it, maybe in
    another order.
    """
    witness = FrameOrderCheck(
        plan_for("gray", (64, 48), (128, 96), ("lanczos",), color=ColorTags(1, 2, 1, 1))
    )
    for number, frame in enumerate(pictures):
        witness.source(frame)
        shows = pictures[order[number]] if order else frame
        witness.result(
            replace(frame, planes=[(shows.planes[0].astype(int) + bias).clip(0, 255).astype(np.uint8)])
        )


@pytest.mark.parametrize("bias", [-8, -1, 1, 8])
def test_a_network_that_moves_brightness_a_little_is_not_taken_for_a_mix_up_in_a_fade(bias: int) -> None:
    """Case 18."""
    watched([fade(n) for n in range(40)], bias)


def moving(number: int, level: float = 1.0) -> Frame:
    y, x = np.mgrid[0:48, 0:64]
    return Frame(
        number, [np.rint(level * (120 + 80 * np.sin((x + 3 * number) / 9) * np.cos(y / 7))).astype(np.uint8)]
    )


@pytest.mark.parametrize("bias", [0, 3])
@pytest.mark.parametrize(
    "order", [(0, 1, 3, 2, 4, 5), (0, 0, 1, 2, 3, 4), (1, 2, 3, 4, 5, 5)], ids=["swapped", "late", "early"]
)
@pytest.mark.parametrize("film", ["moving", "fading", "flashing"])
def test_a_mix_up_is_noticed_in_motion_fades_and_flashes_though_brightness_moves(
    film: str, order: tuple[int, ...], bias: int
) -> None:
    """Case 18."""
    level = {
        "moving": lambda n: 1.0,
        "fading": lambda n: 1 - 0.1 * n,
        "flashing": lambda n: 0.2 + 0.7 * (n % 2),
    }[film]
    pictures = (
        [moving(n, level(n)) for n in range(6)]
        if film != "flashing"
        else [Frame(n, [np.full((48, 64), 20 + 200 * (n % 2), np.uint8)]) for n in range(6)]
    )
    with pytest.raises(VerificationError, match="shows a neighbour"):
        watched(pictures, bias, order)


def test_an_honest_upscale_in_poor_quality_is_the_same_picture() -> None:
    rng = np.random.default_rng(1)
    own = 120 + 40 * rng.standard_normal((18, 32))
    assert thumbnail_difference(own * 0.97 + 4 + 3 * rng.standard_normal((18, 32)), own) == 0.0
    assert thumbnail_difference(np.roll(own, 1, 1), own) > 0
    assert thumbnail_difference(own + 30, own) > 0


@pytest.mark.parametrize("deinterlace", ["auto", "bob", "off"])
@pytest.mark.parametrize("model", ["lanczos", "recurrent-x2"])
def test_a_strobe_of_whole_fields_is_not_taken_for_a_wrong_picture(
    tmp_path: Path, deinterlace: str, model: str
) -> None:
    """Case 15: one field white, one black, which a deinterlacer may show woven."""
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for place, plane in enumerate(frame.planes):
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
                rows[:] = 128
                if not place:
                    rows[0::2], rows[1::2] = 235, 16
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    import pipelines.planner.video_planner as request
    from pipelines.media.video_info import ScanType

    opened, patch = request.open_film, pytest.MonkeyPatch()

    def flagged(*given: Any, **more: Any) -> Any:
        film = opened(*given, **more)
        film.info = replace(film.info, scan=ScanType("top", "flags"))
        return film

    patch.setattr(request, "open_film", flagged)
    try:
        upscaled(tmp_path / "in.mkv", tmp_path / "out.mkv", model=model, scale=2, deinterlace=deinterlace)
    finally:
        patch.undo()
    assert len(decoded(tmp_path / "out.mkv")) == (12 if deinterlace == "bob" else 6)


@pytest.mark.parametrize("model", ["lanczos", "fast", "recurrent"])
def test_a_strobe_of_whole_frames_is_not_taken_for_trouble(tmp_path: Path, model: str) -> None:
    """Case 59: brightness is compared with what went in."""
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(6):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for place, plane in enumerate(frame.planes):
                np.frombuffer(plane, np.uint8)[:] = 128 if place else (235 if number % 2 else 16)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    events = upscaled(tmp_path / "in.mkv", tmp_path / "out.mkv", model=model, scale=2)
    assert not [e for e in events if "computed again" in str(e)]


@pytest.mark.parametrize(("codec", "crf"), [("h264", 45), ("hevc", 51)])
@pytest.mark.parametrize("kind", ["noise", "cross-fade"])
def test_the_coarsest_quality_is_not_taken_for_other_pictures(
    tmp_path: Path, codec: str, crf: int, kind: str
) -> None:
    """Case 59: little of the source's structure is left."""
    rng, source = np.random.default_rng(1), tmp_path / "in.mkv"
    y, x = np.mgrid[0:96, 0:128]
    wave = 128 + 40 * np.sin(x / 5 + y / 9) + 30 * np.cos(y / 4 - x / 17)
    with av.open(str(source), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "gray"
        for number in range(14):
            part = number / 14
            faded = wave * (1 - part) + wave[::-1, ::-1] * part
            luma = rng.integers(16, 236, (96, 128)) if kind == "noise" else faded
            frame = av.VideoFrame.from_ndarray(luma.astype(np.uint8), "gray")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    result = tmp_path / "out.mp4"
    upscaled(source, result, model="lanczos", scale=2, codec=codec, crf=crf)
    assert result.exists()


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("h264", "yuv420p"), ("h264", "yuv422p10le"), ("h264", "yuv444p10le"), ("hevc", "yuv420p10le"),
        ("hevc", "yuv444p12le"), ("av1", "yuv420p"), ("av1", "yuv420p10le"),
    ],
)  # fmt: skip
def test_what_the_coarsest_quality_does_to_sharp_moving_edges_is_allowed_or_named(
    tmp_path: Path, codec: str, pix_fmt: str
) -> None:
    """Case 59: at 12 bits and its largest CRFs, x265 spoils brightness."""
    source = tmp_path / "in.mkv"
    y, x = np.mgrid[0:64, 0:96]
    with av.open(str(source), "w") as output:
        stream = output.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        for number in range(14):
            saws = [(3 * x + 5 * number) % 256, (4 * y + 3 * number) % 256, 2 * (x + y) % 256]
            frame = av.VideoFrame.from_ndarray(np.stack(saws, -1).astype(np.uint8), "rgb24")
            output.mux(stream.encode(frame.reformat(format=pix_fmt)))
        output.mux(stream.encode(None))

    def run(crf: int) -> None:
        upscaled(source, tmp_path / f"{crf}.mkv", model="lanczos", scale=2, codec=codec, crf=crf)

    if pix_fmt == "yuv444p12le":
        with pytest.raises(VerificationError, match="and with a lower --crf if"):
            run(51)
        run(45)
    else:
        run(63 if codec == "av1" else 51)


def test_another_picture_is_noticed_in_the_coarsest_quality_too() -> None:
    """Case 59."""
    own = 120 + 40 * np.random.default_rng(1).standard_normal((18, 32))
    assert thumbnail_difference(own, own, coarseness=1.0) == 0.0
    assert thumbnail_difference(own[::-1], own, coarseness=1.0) > 0
