"""Networks followed by other networks or a classical scaler.

From integers to integers, with the same result as the longer computation in floats.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.catalog.card import Card
from models.catalog.lookup import find_cards
from models.errors import VerificationError
from models.layers.int8 import int8_is_exact
from pipelines.frames import plane_resizer
from pipelines.frames.plane_resizer import PlaneResizer
from pipelines.inference.arithmetic_trial import try_arithmetic
from pipelines.inference.device import INT8_CLASS, numerics_class
from pipelines.inference.fused_cpu import FusedNetwork
from pipelines.inference.upscaler import Upscaler
from pipelines.media.cicp import ColorTags
from pipelines.media.pixel_format import PixelCrop
from pipelines.media.video_info import Frame
from pipelines.plan.plan import NetworkStage, Plan
from tests.helpers.integers import card_with_integers
from tests.helpers.lazy_device import LazyDevice
from tests.pipelines.inference.test_upscaler import BT709, CPU, card, picture, plan_of, same

FULL = replace(BT709, range=2)
exact = pytest.mark.skipif(not int8_is_exact(), reason="needs a CPU with VNNI, AMX or their like")


def chain(
    network: Card | str,
    size: tuple[int, int],
    target: tuple[int, int],
    pix_fmt: str = "yuv420p",
    *,
    precision: str = "fp32",
    scaler: str = "lanczos",
    **options: object,
) -> Plan:
    """size, target: (width, height)."""
    first = card(network) if isinstance(network, str) else network
    plan = plan_of(first, *size, first.scale, pix_fmt, **options)
    stages = (plan.stages[0], NetworkStage(find_cards(scaler)[0], *target))
    return replace(plan, out_width=target[0], out_height=target[1], stages=stages, precision=precision)


def by_the_long_way(plan: Plan, frame: Frame, monkeypatch: pytest.MonkeyPatch) -> Frame:
    with monkeypatch.context() as patch:
        patch.setattr(Upscaler, "_is_direct", lambda _: False)
        return Upscaler(plan, CPU)([frame])[0]


def close(a: Frame, b: Frame, share: float = 0.01) -> bool:
    return all(
        x.shape == y.shape
        and x.dtype == y.dtype
        and np.abs(x.astype(int) - y.astype(int)).max() <= 1
        and (x != y).mean() < share
        for x, y in zip(a.planes, b.planes, strict=True)
    )


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv420p12le"])
@pytest.mark.parametrize(
    ("size", "target"),
    [((64, 48), (192, 144)), ((65, 47), (195, 141)), ((66, 50), (161, 121)), ((64, 48), (100, 90))],
)
@pytest.mark.parametrize("color", [BT709, FULL])
def test_integers_between_the_stages_are_the_long_way_in_floats(
    pix_fmt: str, size: tuple[int, int], target: tuple[int, int], color, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With samples of the source's own bits between them, one in five would differ."""
    plan, frame = chain("fast-x2", size, target, pix_fmt, color=color), picture(pix_fmt, *size)
    upscaler = Upscaler(plan, CPU)
    made = upscaler([frame])[0]
    assert upscaler.notes == []
    coarse = pix_fmt == "yuv420p12le"  # only four bits more, to fill 16
    assert close(made, by_the_long_way(plan, frame, monkeypatch), 0.03 if coarse else 0.01)


def test_a_dark_gradient_has_no_more_steps_than_by_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five codes over the whole width, whose steps stay where they are."""
    luma = np.rint(np.linspace(18, 23, 128)[None] + np.linspace(0, 0.9, 64)[:, None]).astype(np.uint8)
    frame = Frame(0, [luma, *(np.full((32, 64), 128, np.uint8) for _ in range(2))])
    plan = chain("fast-x2", (128, 64), (384, 192))
    made, wanted = (
        Upscaler(plan, CPU)([frame])[0].planes[0],
        by_the_long_way(plan, frame, monkeypatch).planes[0],
    )
    assert (made != wanted).mean() < 0.02
    rises = [int((np.abs(np.diff(p.astype(int), axis=1))).sum()) for p in (made, wanted)]
    assert rises[0] <= rises[1] * 1.02


def test_a_network_in_plain_steps_gives_what_the_fused_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, frame = chain("fast-x2", (96, 64), (240, 160)), picture("yuv420p", 96, 64)
    fused = Upscaler(plan, CPU)([frame])[0]
    monkeypatch.setattr(FusedNetwork, "takes", staticmethod(lambda _: False))
    plain = Upscaler(plan, CPU)
    assert plain._direct[0].fused is None
    assert close(fused, plain([frame])[0])


def test_black_bars_stay_black() -> None:
    frame = picture("yuv420p", 96, 128)
    frame.planes[0][:48], frame.planes[1][:24], frame.planes[2][:24] = 16, 128, 128
    plan = replace(chain("fast-x2", (96, 128), (288, 384)), bars=PixelCrop(top=48))
    made = Upscaler(plan, CPU)([frame])[0]
    assert (made.planes[0][:90] == 16).all()
    assert (made.planes[1][:45] == 128).all()


def test_a_frame_that_has_not_changed_is_taken_over_and_one_that_has_is_not() -> None:
    plan, frame = chain("fast-x2", (96, 64), (240, 160), tile=(32, 48)), picture("yuv420p", 96, 64)
    changed = replace(frame, planes=[p.copy() for p in frame.planes])
    changed.planes[0][60:, 90:] ^= 64
    upscaler = Upscaler(plan, CPU)
    calls: list[int] = []
    resizer = upscaler._resizer
    upscaler._resizer = lambda *given: calls.append(1) or resizer(*given)  # type: ignore[assignment, func-returns-value, misc]
    made = [upscaler([one])[0] for one in (frame, frame, changed, changed, frame)]
    alone = [Upscaler(plan, CPU)([one])[0] for one in (frame, frame, changed, changed, frame)]
    assert all(same(a, b) for a, b in zip(made, alone, strict=True))
    assert not same(made[1], made[2])
    assert (len(calls), upscaler.stills.taken) == (3, 4 + 3 + 4 + 3)


def test_weights_that_give_nonsense_are_found_between_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, frame = chain("fast-x2", (64, 48), (192, 144)), picture("yuv420p", 64, 48)
    upscaler = Upscaler(plan, CPU)
    with torch.no_grad():
        for parameter in upscaler._networks[0].module.parameters():  # type: ignore[attr-defined]
            parameter.fill_(float("nan"))
    upscaler._direct[0].fused = None
    with pytest.raises(VerificationError, match="fast-x2 gave non-finite values"):
        upscaler([frame])


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_a_device_with_frames_in_flight_gives_what_the_cpu_gives(
    pix_fmt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = chain("fast-x2", (98, 62), (247, 155), pix_fmt, tile=(32, 48))
    frames = [replace(picture(pix_fmt, 98, 62, seed), pts=n) for n, seed in enumerate((0, 1, 1, 2, 3))]
    for frame in frames:  # 10 bits and 6 more fill 16: beyond what a signed one holds
        frame.planes[0][20:40] = 235 << (0 if pix_fmt == "yuv420p" else 2)
    flying = Upscaler(plan, CPU, accelerator=LazyDevice(1))
    assert flying.runs_ahead
    made = flying(frames)
    assert flying.notes == []
    assert all(close(a, b) for a, b in zip(made, Upscaler(plan, CPU)(frames), strict=True))


def test_a_gpu_is_tried_with_a_classical_scaler_behind_its_network() -> None:
    trials = try_arithmetic(chain("fast-x2", (64, 48), (192, 144), tile=(48, 64)), "cpu")
    assert {t.decibels for t in trials if t.precision == "fp32"} == {99.0}


@pytest.mark.parametrize(
    ("changes", "resized"),
    [
        ({}, True),
        ({"strength": 0.5}, False),
        ({"pix_fmt": "yuv444p", "out_pix_fmt": "yuv444p"}, False),
        ({"pix_fmt": "yuv422p", "out_pix_fmt": "yuv422p"}, False),
        ({"pix_fmt": "yuva420p", "out_pix_fmt": "yuva420p"}, False),
        ({"out_pix_fmt": "yuv420p10le"}, False),
        ({"out_color": FULL}, False),
    ],
)
def test_plans_that_round_between_their_stages_say_so_and_others_keep_their_id(
    changes: dict[str, object], resized: bool
) -> None:
    plan = replace(chain("fast-x2", (64, 48), (192, 144), precision=""), **changes)  # type: ignore[arg-type]
    assert plan.is_direct is resized
    assert ("between_stages" in plan.to_json()) is resized
    assert plan.takes_int8 is resized
    assert (Upscaler(plan, CPU)._resizer is not None) is resized


@pytest.mark.parametrize("names", [("lanczos",), ("lanczos", "fast-x2"), ("fast-x2", "lanczos", "lanczos")])
def test_other_chains_are_not_rounded_between_their_stages(names: tuple[str, ...]) -> None:
    plan = chain("fast-x2", (64, 48), (192, 144))
    plan = replace(plan, stages=tuple(NetworkStage(find_cards(name)[0], 192, 144) for name in names))
    assert not plan.is_direct
    assert "between_stages" not in plan.to_json()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Card:
    return card_with_integers(tmp_path_factory.mktemp("int8"))


@exact
def test_on_integers_tiles_threads_and_bands_are_the_same_bits(
    small: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is computed is whole numbers, or floats in a fixed order."""
    frame, before = picture("yuv420p", 96, 64), torch.get_num_threads()
    digests = set()
    try:
        for tile, threads, band in (
            ((96, 128), 1, 256),
            ((24, 32), 1, 10),
            ((24, 32), 2, 256),
            ((48, 48), 2, 33),
        ):
            torch.set_num_threads(threads)
            monkeypatch.setattr(plane_resizer, "_BAND", band)
            plan = chain(small, (96, 64), (240, 160), precision="int8", tile=tile)
            assert plan.is_exact
            planes = Upscaler(plan, CPU)([frame])[0].planes
            digests.add(hashlib.sha256(b"".join(p.tobytes() for p in planes)).hexdigest())
    finally:
        torch.set_num_threads(before)
    assert len(digests) == 1
    facts = numerics_class(CPU, plan)
    assert (facts["dtype"], facts["compute"]) == (INT8_CLASS, "any")


def cascade(*networks: Card | str, size: tuple[int, int], precision: str = "fp32", **options: object) -> Plan:
    """Networks one after another, then Lanczos down to 5/6 of their size."""
    cards = [card(n) if isinstance(n, str) else n for n in networks]
    width, height = size
    stages = []
    for one in cards:
        width, height = width * one.scale, height * one.scale
        stages.append(NetworkStage(one, width, height))
    width, height = width * 5 // 6, height * 5 // 6
    stages.append(NetworkStage(find_cards("lanczos")[0], width, height))
    plan = plan_of(cards[0], *size, 2, **options)  # type: ignore[arg-type]
    return replace(plan, out_width=width, out_height=height, stages=tuple(stages), precision=precision)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(64, 48), (65, 47)])
@pytest.mark.parametrize("color", [BT709, FULL])
def test_two_networks_and_a_scaler_are_the_long_way_in_floats(
    pix_fmt: str, size: tuple[int, int], color: ColorTags, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = cascade("fast-x2", "fast-x3", size=size, pix_fmt=pix_fmt, color=color)
    frame, upscaler = picture(pix_fmt, *size), Upscaler(plan, CPU)
    made = upscaler([frame])[0]
    assert (len(upscaler._direct), upscaler.notes) == (2, [])
    assert close(made, by_the_long_way(plan, frame, monkeypatch), 0.02)
    plain = Upscaler(plan, CPU)
    for stage in plain._direct:
        stage.fused = None
    assert close(made, plain([frame])[0])


def test_the_last_of_several_networks_gives_samples_of_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = cascade("fast-x2", "fast-x3", size=(66, 50))
    plan = replace(plan, stages=plan.stages[:2], out_width=396, out_height=300)
    frame = picture("yuv420p", 66, 50)
    made = Upscaler(plan, CPU)([frame])[0]
    assert {p.dtype for p in made.planes} == {np.dtype(np.uint8)}
    assert close(made, by_the_long_way(plan, frame, monkeypatch), 0.02)


def test_every_network_takes_over_what_has_not_changed_before_it() -> None:
    plan = cascade("fast-x2", "fast-x3", size=(96, 64), tile=(32, 48))
    frame = picture("yuv420p", 96, 64)
    changed = replace(frame, planes=[p.copy() for p in frame.planes])
    changed.planes[0][60:, 90:] ^= 64
    film = (frame, frame, changed, changed, frame)
    upscaler = Upscaler(plan, CPU)
    made = [upscaler([one])[0] for one in film]
    assert all(same(a, Upscaler(plan, CPU)([b])[0]) for a, b in zip(made, film, strict=True))
    first, second = (stage.stills for stage in upscaler._direct)
    assert first.taken == 4 + 3 + 4 + 3
    assert first.tiles - first.taken < second.tiles - second.taken < second.tiles / 2


@exact
def test_on_integers_the_second_network_reads_the_first_one_rounded_to_eight_bits(small: Card) -> None:
    """Its skip connection reads all 14 bits, its first layer the nearest 8-bit samples."""
    frame = picture("yuv420p", 96, 64)
    plan = cascade(small, small, size=(96, 64), precision="int8")
    assert plan.takes_int8
    assert plan.is_exact
    upscaler = Upscaler(plan, CPU)
    assert [stage.fused is not None and stage.fused.is_integer for stage in upscaler._direct] == [True] * 2
    given: list[list[np.ndarray]] = []
    resizer = upscaler._resizer
    assert resizer is not None
    upscaler._resizer = lambda planes, *_: given.append(planes) or resizer(planes)  # type: ignore[assignment, func-returns-value]
    upscaler([frame])
    first = Upscaler(replace(plan_of(small, 96, 64, 2), precision="int8"), CPU)([frame])[0]
    again = Upscaler(replace(plan_of(small, 192, 128, 2), precision="int8"), CPU)([first])[0]
    for fine, coarse in zip(given[0], again.planes, strict=True):
        assert fine.dtype == np.uint16
        assert (fine % 64).any()
        # What rounding between them changes reaches the result through the skip connection.
        assert np.abs(fine / 64 - coarse).mean() < 0.5
        assert np.abs(fine / 64 - coarse).max() < 3


@exact
def test_on_integers_tiles_and_threads_are_the_same_bits_for_two_networks(small: Card) -> None:
    frame, before, digests = picture("yuv420p", 96, 64), torch.get_num_threads(), set()
    try:
        for tile, threads in (((96, 128), 1), ((24, 32), 1), ((24, 32), 2), ((48, 48), 2)):
            torch.set_num_threads(threads)
            planes = Upscaler(cascade(small, small, size=(96, 64), precision="int8", tile=tile), CPU)(
                [frame]
            )[0].planes
            digests.add(hashlib.sha256(b"".join(p.tobytes() for p in planes)).hexdigest())
    finally:
        torch.set_num_threads(before)
    assert len(digests) == 1


def test_on_a_gpu_several_networks_compute_in_floats() -> None:
    plan = cascade("fast-x2", "fast-x3", size=(64, 48))
    flying = Upscaler(plan, CPU, accelerator=LazyDevice(1))
    flying.device = torch.device("cuda")
    assert not flying._is_direct()


@exact
def test_on_integers_the_scaler_gets_six_bits_more_than_the_network_alone_would_give(small: Card) -> None:
    """The defined reference: the network's result in 1/64 codes, then the filter in float32."""
    frame = picture("yuv420p", 96, 64)
    upscaler = Upscaler(chain(small, (96, 64), (240, 160), precision="int8"), CPU)
    given: list[list[np.ndarray]] = []
    resizer = upscaler._resizer
    assert resizer is not None
    upscaler._resizer = lambda planes, *_: given.append(planes) or resizer(planes)  # type: ignore[assignment, func-returns-value]
    made = upscaler([frame])[0]
    alone = Upscaler(replace(plan_of(small, 96, 64, 2), precision="int8"), CPU)([frame])[0]
    for fine, coarse in zip(given[0], alone.planes, strict=True):
        assert fine.dtype == np.uint16
        assert (fine % 64).any()
        assert np.abs(fine / 64 - coarse).max() <= 0.5
    wanted = PlaneResizer((128, 192), (160, 240), "lanczos", 8, (0.0, -0.25))(given[0])
    assert all(np.array_equal(a, b) for a, b in zip(made.planes, wanted, strict=True))
