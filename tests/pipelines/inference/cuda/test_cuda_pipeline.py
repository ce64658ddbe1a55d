"""A frame's way through a simulated CUDA device: the same images under every order of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.architectures.recurrent import Recurrent
from models.catalog.card import Card
from models.catalog.lookup import find_cards
from models.errors import NoMemoryError, VerificationError
from pipelines.inference.cuda.cuda_pipeline import BATCH, batches
from pipelines.inference.temporal_windows import Window, single_frame_window
from pipelines.inference.upscaler import Upscaler
from pipelines.media.pixel_format import PixelCrop
from pipelines.media.video_info import Frame
from pipelines.model_files.card_writer import NetworkFacts, export
from tests.helpers.lazy_device import LazyDevice
from tests.pipelines.inference.test_upscaler import CPU, card, picture, plan_of, same

WIDTH, HEIGHT = 96, 64


@pytest.fixture(autouse=True)
def _in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device of the stand-in has a fast dtype, whatever this machine has."""
    monkeypatch.setattr("pipelines.inference.upscaler.computing_dtype", lambda *_: torch.bfloat16)


@pytest.fixture(scope="module")
def remembering(tmp_path_factory: pytest.TempPathFactory) -> Card:
    """A small network with a memory that tells."""
    torch.manual_seed(2)
    network = Recurrent(scale=2, width=32, depth=1)
    with torch.no_grad():
        network.tail.weight.normal_(0, 0.03)
        network.memory.weight.normal_(0, 0.05)
    folder = tmp_path_factory.mktemp("weights")
    settings = {"width": 32, "depth": 1}
    return find_cards(
        str(
            export(
                network.state_dict(),
                NetworkFacts("recurrent", settings, 2),
                folder=folder,
                name="r-x2",
            )
        )
    )[0]


def upscaler(
    network: Card | None = None,
    pix_fmt: str = "yuv420p",
    *,
    seed: int | None = 0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    **changes,
) -> Upscaler:
    """On the stand-in; without a seed, frame by frame on the CPU in plain steps."""
    plan = replace(plan_of(network or card("fast-x2"), *size, 2, pix_fmt, tile=(32, 48)), **changes)
    made = Upscaler(plan, CPU, accelerator=None if seed is None else LazyDevice(seed))
    for stage in made._direct:
        stage.fused = None
    return made


def film(pix_fmt: str = "yuv420p", size: tuple[int, int] = (WIDTH, HEIGHT)) -> list[Frame]:
    """Eight frames, two of them the one before again."""
    shown = [0, 1, 1, 2, 3, 3, 4, 5]
    return [replace(picture(pix_fmt, *size, seed), pts=n) for n, seed in enumerate(shown)]


def shots(frames: list[Frame], starts: tuple[int, ...] = (0, 5)) -> Iterator[Window]:
    """Each with its neighbours, in two shots."""
    for n, frame in enumerate(frames):
        first = max(s for s in starts if s <= n)
        last = min([s - 1 for s in starts if s > n] + [len(frames) - 1])
        yield Window((frames[max(first, n - 1)], frame, frames[min(last, n + 1)]), 1, n in starts)


def made(running: Upscaler, windows: Iterator[Window] | list[Window]) -> list[Frame]:
    return [frame for _, frame in running.stream(windows)]


def singly(frames: list[Frame]) -> list[Window]:
    return [single_frame_window(f, card_contract()) for f in frames]


def card_contract():
    return upscaler(seed=None).contract


def close(a: Frame, b: Frame) -> bool:
    return all(
        np.abs(x.astype(int) - y.astype(int)).max() <= 1 and (x != y).mean() < 0.01
        for x, y in zip(a.planes, b.planes, strict=True)
    )


@pytest.mark.parametrize(
    ("pix_fmt", "size"), [("yuv420p", (96, 64)), ("yuv420p10le", (98, 62)), ("yuv420p", (95, 63))]
)
def test_frames_come_back_in_order_as_the_cpu_makes_them(pix_fmt: str, size: tuple[int, int]) -> None:
    frames = film(pix_fmt, size)
    plain = upscaler(pix_fmt=pix_fmt, seed=None, size=size)(frames)
    for seed in range(3):
        found = upscaler(pix_fmt=pix_fmt, seed=seed, size=size)(frames)
        assert [f.pts for f in found] == list(range(8))
        assert all(close(a, b) for a, b in zip(found, plain, strict=True))


def test_codes_cross_the_bus_and_no_floats_but_a_few_numbers() -> None:
    device = LazyDevice()
    Upscaler(
        plan_of(card("fast-x2"), WIDTH, HEIGHT, 2, "yuv420p10le", tile=(32, 48)), CPU, accelerator=device
    )(film("yuv420p10le")[:1])
    floats = [shape for shape, dtype, _ in device.buffers if dtype.is_floating_point]
    assert set(floats) == {(4, 4)}
    assert {dtype for _, dtype, _ in device.buffers} == {torch.int16, torch.float32}


def test_a_single_frame_is_waited_for() -> None:
    running, frames = upscaler(), film()
    for frame, wanted in zip(frames, upscaler()(frames), strict=True):
        assert same(running.follow(single_frame_window(frame, running.contract)), wanted)


def test_still_tiles_are_taken_over_on_the_device() -> None:
    running, frames = upscaler(), film()
    found = running(frames)
    assert running.stills.taken == 8  # four tiles of each of the two frames
    for frame, one in zip(frames, found, strict=True):
        assert same(one, upscaler()([frame])[0])


def test_black_bars_are_not_given_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = picture("yuv420p", 96, 160)
    for plane, code, by in zip(frame.planes, (16, 128, 128), (1, 2, 2), strict=True):
        plane[: 48 // by] = plane[-48 // by :] = code
    spent = []
    for bars in (PixelCrop(), PixelCrop(top=48, bottom=48)):
        running = upscaler(size=(96, 160), bars=bars)
        hook = Hook(running, monkeypatch)
        (result,) = running([frame])
        assert set(np.unique(result.planes[0][:50])) == {16}
        spent.append(sum(hook.batches))
    tiles = [len(running._tiles(160, 96)), sum(part.in_bar for part in running._tiles(160, 96))]
    assert tiles[1] > 0
    assert spent[1] == tiles[0] - tiles[1]
    assert spent[0] == 10


@pytest.mark.parametrize("seed", range(4))
def test_what_is_remembered_follows_the_film(remembering: Card, seed: int) -> None:
    frames = film()
    plain, found = (made(upscaler(remembering, seed=s), shots(frames)) for s in (None, seed))
    assert all(close(a, b) for a, b in zip(found, plain, strict=True))
    assert same(found[5], made(upscaler(remembering), shots(frames[5:], (0,)))[0])
    assert not close(found[4], made(upscaler(remembering), shots(frames[4:], (0,)))[0])


class Hook:
    """Makes trouble when the network is called for the n-th time."""

    def __init__(self, running: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
        module = running._networks[0].module
        self.sound = module.trunk  # type: ignore[attr-defined]
        self.batches: list[int] = []
        monkeypatch.setattr(module, "trunk", self)

    def __call__(self, x: torch.Tensor):
        self.batches.append(x.shape[0])
        return self.trouble(x)

    def trouble(self, x: torch.Tensor):
        return self.sound(x)


@pytest.mark.parametrize("when", [0, 3, 5])
@pytest.mark.parametrize("memory", [False, True])
def test_out_of_memory_anywhere_ends_the_run_and_changes_no_batch(
    when: int, memory: bool, remembering: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 53: in the first, a middle and the last frame."""
    frames = [f for f in film() if f.pts not in {2, 5}]

    class Full(Hook):
        def trouble(self, x: torch.Tensor):
            if len(self.batches) == when + 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB\nmore")
            return self.sound(x)

    def windows(running: Upscaler):
        return shots(frames, (0, 4)) if memory else [single_frame_window(f, running.contract) for f in frames]

    network = remembering if memory else None
    calm, running = upscaler(network), upscaler(network)
    wanted = made(calm, windows(calm))
    hook = Full(running, monkeypatch)
    with pytest.raises(
        NoMemoryError,
        match=r"^memory of the device ran out \(CUDA out of memory. Tried to allocate 20.00 MiB\)$",
    ):
        made(running, windows(running))
    assert hook.batches == [4] * len(hook.batches)
    assert all(
        same(a, b) for a, b in zip(made(running, windows(running)), wanted, strict=True)
    )  # nothing of it is left
    assert hook.batches == [4] * len(hook.batches)


class Calls:
    """Shapes that the graphed network is called with, and whether by the classical kernel."""

    def __init__(self, running: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
        assert running._accelerated is not None
        graphed = running._accelerated.graphed
        self.seen: list[tuple[tuple[int, ...], bool]] = []
        self._graphed, self.state_dtype = graphed, graphed.state_dtype
        monkeypatch.setattr(running._accelerated, "graphed", self)

    def __call__(self, luma: torch.Tensor, *rest, classical: bool = False, **how: bool):
        self.seen.append((tuple(luma.shape), classical))
        return self._graphed(luma, *rest, classical=classical, **how)

    def batches(self) -> dict[tuple[int, ...], set[int]]:
        """Tile shape -> sizes of its batches."""
        found: dict[tuple[int, ...], set[int]] = {}
        for shape, _ in self.seen:
            found.setdefault(shape[1:], set()).add(shape[0])
        return found


def partly_still(size: tuple[int, int]) -> list[Frame]:
    """Ten frames, in each of which another few samples are new, or none."""
    rng = np.random.default_rng(5)
    frames = [picture("yuv420p", *size, 7)]
    for number in range(1, 10):
        planes = [p.copy() for p in frames[-1].planes]
        if number % 4:
            row, column = rng.integers(size[1]), rng.integers(size[0])
            planes[0][row : row + 4, column : column + 4] ^= 8
        frames.append(replace(frames[-1], planes=planes, pts=number))
    return frames


@pytest.mark.parametrize(("size", "expected"), [((96, 64), {4}), ((144, 96), {1, 2, 4}), ((336, 32), {2, 3})])
def test_tiles_of_a_shape_go_in_batches_of_one_size_whatever_stands_still(
    size: tuple[int, int], expected: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 1: cuDNN takes other algorithms for other batches, and bytes would depend on where a chunk
    begins.
    """
    frames = partly_still(size)
    running = upscaler(size=size)
    calls = Calls(running, monkeypatch)
    found = made(running, [single_frame_window(f, running.contract) for f in frames])
    stills = running.stills.taken
    assert 0 < stills < running.stills.tiles
    for start in range(1, len(frames), 3):  # a chunk that begins here
        again = upscaler(size=size)
        later = Calls(again, monkeypatch)
        assert all(
            same(a, b)
            for a, b in zip(
                made(again, [single_frame_window(f, again.contract) for f in frames[start:]]),
                found[start:],
                strict=True,
            )
        )
        calls.seen += later.seen
    assert all(len(sizes) == 1 for sizes in calls.batches().values()), calls.batches()
    assert set().union(*calls.batches().values()) == expected


def test_black_bars_do_not_change_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 1: bars that are black in some frames and hold subtitles in others."""
    frames = []
    for number in range(4):
        frame = replace(picture("yuv420p", 192, 96, number), pts=number)
        for plane, code, by in zip(frame.planes, (16, 128, 128), (1, 2, 2), strict=True):
            plane[: 48 // by] = code
        if number % 2:
            frame.planes[0][2:6, 20 * number : 20 * number + 8] = 200
        frames.append(frame)
    running = upscaler(size=(192, 96), bars=PixelCrop(top=48))
    assert any(part.in_bar for part in running._tiles(96, 192))
    calls = Calls(running, monkeypatch)
    running(frames)
    assert {classical for _, classical in calls.seen} == {False, True}
    assert all(len(sizes) == 1 for sizes in calls.batches().values()), calls.batches()


def test_a_tile_has_the_same_place_among_the_same_tiles_in_every_frame() -> None:
    parts = upscaler(size=(480, 96))._tiles(96, 480)
    found = batches(parts)
    assert {n for batch in found for n in batch} == set(range(len(parts)))
    assert sum(len(set(batch)) for batch in found) == len(parts)
    assert max(map(len, found)) <= BATCH


class Sick(Hook):
    """Numbers that are none in low precision, from a call on for so many calls."""

    begins, lasts, always = 2, 1, False

    def trouble(self, x: torch.Tensor):
        rough = torch.is_autocast_enabled("cpu")
        number = len(self.batches) - 1
        sick = self.always or (rough and self.begins <= number < self.begins + self.lasts)
        result = self.sound(x)
        if not sick:
            return result
        return tuple(r * float("nan") for r in result) if isinstance(result, tuple) else result * float("nan")


@pytest.mark.parametrize("seed", range(3))
def test_a_sick_frame_is_computed_again_and_so_is_what_took_over_from_it(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 59."""
    running, frames = upscaler(seed=seed), film()
    wanted = upscaler()(frames)
    Sick(running, monkeypatch).begins = 1  # frame 1; frame 2 shows the same
    found = running(frames)
    assert all(close(a, b) for a, b in zip(found, wanted, strict=True))
    assert same(found[1], found[2])
    assert (
        running.notes
        == ["fast-x2 gave non-finite values (NaN or infinity); the frame was computed again in fp32"] * 2
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_remembered_a_sick_frame_is_computed_again(
    seed: int, remembering: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, frames = upscaler(remembering, seed=seed), film()
    wanted = made(upscaler(remembering), shots(frames))
    Sick(running, monkeypatch)
    found = made(running, shots(frames))
    assert [f.pts for f in found] == list(range(8))
    for a, b in zip(found, wanted, strict=True):
        assert (
            np.square(a.planes[0].astype(float) - b.planes[0]).mean() < 0.5
        )  # what follows remembers a frame of fp32
    assert len(running.notes) == 1


def test_a_network_that_stays_sick_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 59."""
    running = upscaler()
    Sick(running, monkeypatch).always = True
    with pytest.raises(VerificationError, match="in fp32 too"):
        running(film())


def test_after_an_error_nothing_of_it_is_left_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    running, frames = upscaler(), film()
    sick = Sick(running, monkeypatch)
    sick.always = True
    with pytest.raises(VerificationError):
        running(frames)
    sick.always, sick.begins = False, 10**9
    assert all(same(a, b) for a, b in zip(running(frames), upscaler()(frames), strict=True))
