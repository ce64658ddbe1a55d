"""Every pixel format through every kind of network: textured images, compared with a float reference."""

from __future__ import annotations

import functools
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.catalog.card import Card
from models.catalog.loader import load_network
from models.catalog.lookup import cards
from models.layers.resampling import resample
from models.network import Contract, LoadedNetwork
from pipelines.frames.color_conversion import rgb_to_yuv
from pipelines.inference.cascade import Cascade
from pipelines.inference.upscaler import Upscaler
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import Orientation, PixelFormat
from pipelines.media.video_info import Chunk, Frame, Span
from pipelines.plan.color_tags import output_tags
from pipelines.plan.plan import Plan
from pipelines.planner.network_choice import choose_stages
from pipelines.settings.encoder_spec import Encoder
from tests.helpers.figures import record
from tests.helpers.float_reference import reference

CPU = torch.device("cpu")
FORMATS = (
    "gray", "gray10le", "gray16le", "grayf32le", "ya8", "ya16le", "yaf32le", "yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p",
    "yuv420p10le", "yuv422p16le", "yuva420p", "yuva444p10le", "gbrp", "gbrap", "gbrp12le", "gbrap16le", "gbrpf32le", "gbrapf32le",
)  # fmt: skip
"""Packed formats, palettes among them, reach networks as one of these."""
CHAINS = {
    "lanczos": ("lanczos",), "nearest": ("nearest",), "bicubic": ("bicubic",), "yuv": ("fast-x2",), "rgb": ("toy",), "whole": ("toy-whole",),
    "recurrent": ("recurrent-x2",), "x1, rgb": ("deconvolution-x1", "toy"),
}  # fmt: skip
"""What stands for each class of network; toys for foreign ones, in tiles and as a whole."""
COMBINATIONS, SEED = int(os.environ.get("VSR_COMBINATIONS", "20")), int(os.environ.get("VSR_SEED", "1"))


class Toy(nn.Module):
    """A network on R'G'B' of scale 2: nearest neighbour and a little of a random convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(12, 3, 5, 5, generator=torch.Generator().manual_seed(3)) * 0.01
        )

    def forward(self, rgb: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv2d(F.pad(rgb, (2, 2, 2, 2)), self.weight), 2) + rgb.repeat_interleave(
            2, -1
        ).repeat_interleave(2, -2)


TOYS = {
    "toy": Card("toy", 2, "toy", pixels="rgb", sha256="t", halo_px=2),
    "toy-whole": Card(
        "toy-whole", 2, "toy", pixels="rgb", sha256="t", halo_px=None, settings={"multiple": 4}
    ),
}
CARDS = {**{c.name: c for c in cards()}, **TOYS}


def load(card: Card, **more: object) -> LoadedNetwork:
    return _learned(card.name) if card.sha256 else load_network(card, **more)  # type: ignore[arg-type]


@functools.cache
def _learned(name: str) -> LoadedNetwork:
    card = CARDS[name]
    if card.architecture != "toy":
        return load_network(card)
    contract = Contract(2, "rgb", halo_px=card.halo_px, size_multiple=card.settings.get("multiple", 1))
    return LoadedNetwork(card.name, Toy(), contract, card.sha256)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In fp32, and in one thread: on such small pictures others only wait for each other."""
    monkeypatch.setattr("pipelines.inference.upscaler.computing_dtype", lambda *_: torch.float32)
    monkeypatch.setattr("pipelines.inference.stage_loading.load_network", load)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def texture(pix_fmt: str, width: int, height: int, seed: int = 0) -> list[np.ndarray]:
    """Planes of waves, edges and noise, each another, over nearly all codes."""
    pixels, rng = PixelFormat.parse(pix_fmt), np.random.default_rng(seed)
    planes = []
    for number in range(pixels.plane_count):
        rows, columns = pixels.plane_size(number, width, height)
        y, x = np.mgrid[0:rows, 0:columns]
        values = (
            0.5
            + 0.25 * np.sin(0.7 * x + 0.3 * y + number)
            + 0.12 * np.sign(np.sin(0.23 * y - 0.31 * x))
            + 0.08 * rng.standard_normal((rows, columns))
        )
        if pixels.is_float:
            planes.append((1.5 * values - 0.2).astype(np.float32))
        else:
            planes.append((values.clip(0.02, 0.98) * ((1 << pixels.bits) - 1)).astype(pixels.dtype))
    return planes


def plan_for(
    pix_fmt: str,
    size: tuple[int, int],
    target: tuple[int, int],
    chain: tuple[str, ...],
    *,
    out: str = "",
    strength: float = 1.0,
    tile: tuple[int, int] = (16, 24),
    color: ColorTags | None = None,
    turn: Orientation | None = None,
    full_chroma: bool = False,
) -> Plan:
    """size, target: (width, height) as seen."""
    pixels = PixelFormat.parse(pix_fmt)
    color = color or ColorTags(5, 1, 5, 6, 1)
    if pixels.family == "rgb":
        color = replace(color, matrix=0, range=2)
    encoder = Encoder("ffv1", "ffv1", *target, out or pix_fmt)
    stages = choose_stages([[CARDS[name]] for name in chain], *size, *target)
    return Plan(
        "", 0, *size, *target, Fraction(1), turn or Orientation(), pix_fmt, encoder.pix_fmt, color, output_tags(color, pixels, encoder), stages, encoder,
        Fraction(1, 24), Fraction(24), 0, 1, False, "fail", "", (Chunk(0, 0, 1),), (Span(0, 1, (Chunk(0, 0, 1),)),), tile, strength=strength, full_chroma=full_chroma,
    )  # fmt: skip


def check(plan: Plan, planes: list[np.ndarray]) -> None:
    """Every sample within what float32 may round."""
    upscaler = Upscaler(plan, CPU)
    upright = upscaler.turned(Frame(0, planes)).planes
    (made,) = upscaler([Frame(0, planes)])
    networks = [
        load(s.card, height=s.height, width=s.width) for s in plan.stages if s.card.name != "identity"
    ]
    pixels = PixelFormat.parse(plan.out_pix_fmt)
    expected = reference(upright, plan, networks)
    assert len(made.planes) == len(expected) == pixels.plane_count
    for number, (plane, right) in enumerate(zip(made.planes, expected, strict=True)):
        assert plane.shape == pixels.plane_size(number, plan.out_width, plan.out_height)
        assert plane.dtype == pixels.dtype
        whole = np.pad(
            right, [(0, have - n) for have, n in zip(plane.shape, right.shape, strict=True)], mode="edge"
        )
        if pixels.is_float:
            assert np.abs(plane - whole).max() < 2e-3
        else:
            most = (1 << pixels.bits) - 1
            off = np.abs(plane.astype(np.float64) - whole.clip(0, most))
            assert off.max() <= 0.5 + max(0.02, 2e-5 * most), (
                number,
                off.max(),
                np.unravel_index(off.argmax(), off.shape),
            )


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_every_kind_of_pixels_goes_through_every_class_of_network(pix_fmt: str) -> None:
    """Case 30: at whole factors, in tiles, at odd sizes."""
    for chain in CHAINS.values():
        check(plan_for(pix_fmt, (27, 21), (54, 42), chain, tile=(16, 16)), texture(pix_fmt, 27, 21))


@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_boxes_that_overshoot_and_half_the_strength_are_right_for_every_kind_of_pixels(pix_fmt: str) -> None:
    """Case 30: a last resize, and the mixture with the classical way."""
    for chain in CHAINS.values():
        if chain != ("nearest",):  # half-way between two samples either is nearest
            check(
                plan_for(pix_fmt, (28, 20), (45, 34), chain, strength=0.5, tile=(16, 16)),
                texture(pix_fmt, 28, 20),
            )


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuva444p10le", "gbrp", "gbrp12le", "gbrpf32le"])
def test_full_chroma_goes_through_the_networks_plane_by_plane(pix_fmt: str) -> None:
    """Case 30: in tiles, at odd sizes, before a last resize and mixed with the classical way."""
    for chain in (("fast-x2",), ("recurrent-x2",), ("deconvolution-x1", "fast-x2")):
        check(
            plan_for(pix_fmt, (27, 21), (54, 42), chain, tile=(16, 16), full_chroma=True),
            texture(pix_fmt, 27, 21),
        )
    check(
        plan_for(pix_fmt, (28, 20), (45, 34), ("fast-x2",), tile=(16, 16), strength=0.5, full_chroma=True),
        texture(pix_fmt, 28, 20),
    )


def test_coloured_text_keeps_its_colour_better_than_resized() -> None:
    """Letters of pure colours on grey: chroma is at least 2 dB nearer to the truth."""
    rng = np.random.default_rng(4)
    letters = [np.kron(rng.random((7, 5)) < 0.5, np.ones((3, 3), bool)) for _ in range(12)]
    truth = np.full((128, 192, 3), 90, np.uint8)
    for number, letter in enumerate(letters):
        top, left = 10 + number // 6 * 56, 8 + number % 6 * 30
        truth[top : top + 21, left : left + 15][letter] = [
            (255, 0, 0),
            (0, 255, 0),
            (30, 60, 255),
            (255, 220, 0),
        ][number % 4]
    wide = torch.from_numpy(truth).permute(2, 0, 1)[None].double()
    small = resample(wide, 64, 96, "bicubic")[0].round().clamp(0, 255).byte().numpy()

    def error(*, full_chroma: bool) -> float:
        plan = plan_for("gbrp", (96, 64), (192, 128), ("fast-x2",), tile=(512, 512), full_chroma=full_chroma)
        (made,) = Upscaler(plan, CPU)([Frame(0, [small[n] for n in (1, 2, 0)])])
        chroma = [
            rgb_to_yuv(torch.from_numpy(p).permute(2, 0, 1)[None].float() / 255, 1)[1]
            for p in (truth, np.stack(made.planes, -1)[..., [2, 0, 1]])
        ]
        return float((chroma[0] - chroma[1]).square().mean())

    assert error(full_chroma=True) < error(full_chroma=False) / 10**0.2


def test_even_colour_is_not_worth_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = [texture("gray", 48, 32)[0], np.full((32, 48), 100, np.uint8), np.full((32, 48), 140, np.uint8)]
    calls: list[object] = []
    run = Cascade.run
    monkeypatch.setattr(
        Cascade, "run", lambda self, *given, **more: calls.append(given) or run(self, *given, **more)
    )
    (made,) = Upscaler(
        plan_for("yuv444p", (48, 32), (96, 64), ("fast-x2",), tile=(512, 512), full_chroma=True), CPU
    )([Frame(0, planes)])
    assert len(calls) == 1
    assert [set(p.ravel()) for p in made.planes[1:]] == [{100}, {140}]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv411p", "yuv440p", "yuv444p", "gbrp", "gray"])
def test_chroma_is_turned_with_its_picture(pix_fmt: str) -> None:
    """Case 26: also where no network takes part, and where it is subsampled along one axis only."""
    for turn in (Orientation(transpose=True, flip_x=True), Orientation(flip_x=True, flip_y=True)):
        seen = turn.turn(28, 20)
        for chain, factor in ((("identity",), 1), (("lanczos",), 2), (("fast-x2",), 2)):
            check(
                plan_for(pix_fmt, seen, (seen[0] * factor, seen[1] * factor), chain, turn=turn),
                texture(pix_fmt, 28, 20),
            )


def test_the_combinations_are_counted() -> None:
    record(combinations=COMBINATIONS)


@pytest.mark.parametrize("number", range(COMBINATIONS))
def test_any_combination_is_that_of_the_reference(number: int) -> None:
    """Case 30: pixels, result, networks, size, factor, strength, tile, colour, siting and turn by lot."""
    lot = random.Random(f"{SEED} {number}")
    pix_fmt, chain = lot.choice(FORMATS), CHAINS[lot.choice(list(CHAINS))]
    pixels = PixelFormat.parse(pix_fmt)
    size = (lot.randint(8, 70), lot.randint(8, 50))
    factor = lot.choice([2, 3] if chain == ("nearest",) else [2, 2, 3, 4, 1.25, 1.8, 2.5, 3.125])
    target = (round(size[0] * factor), round(size[1] * factor))
    if lot.random() < 0.3 and chain != ("nearest",):
        target = tuple(n + n % 2 for n in target)  # type: ignore[assignment]
    out = pix_fmt
    if not pixels.is_float and lot.random() < 0.4:
        out = lot.choice(
            ["yuv420p10le", "yuv444p12le", "yuv422p16le", "yuv411p", "gbrp16le", "gray10le", "yuva420p"]
        )
    color = ColorTags(lot.choice([1, 5, 9]), lot.choice([1, 2]), 1, 1, lot.choice([1, 2, 3, 4]))
    flips = Orientation(*(lot.random() < 0.3 for _ in range(3)))
    seen = flips.turn(*size)
    target = flips.turn(*target)  # type: ignore[assignment]
    tile = lot.choice([(16, 16), (24, 40), (512, 512)])
    plan = plan_for(
        pix_fmt,
        seen,
        target,
        chain,
        out=out,
        strength=lot.choice([1.0, 1.0, 0.6]),
        tile=tile,
        color=color,
        turn=flips,
    )
    check(plan, texture(pix_fmt, *size, seed=number))
