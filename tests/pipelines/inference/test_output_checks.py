"""Invalid output of a network is detected and recomputed in fp32; if that does not help, the run ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import VerificationError
from pipelines.inference.output_checks import TileStatistics, find_fault, sample_statistics, value_statistics
from pipelines.inference.upscaler import Upscaler
from pipelines.media.video_info import Frame
from tests.pipelines.inference.test_upscaler import CPU, card, picture, plan_of

NONSENSE: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "NaN": lambda x: x * float("nan"),
    "infinity": lambda x: x + float("inf"),
    "black where": lambda x: x - 4,
    "brightness that is off": lambda x: x + 0.4,
}


@pytest.fixture(autouse=True)
def _in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.inference.upscaler.computing_dtype", lambda *_: torch.bfloat16)


def ill(
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[torch.Tensor], torch.Tensor],
    *,
    always: bool = False,
) -> Upscaler:
    """An upscaler whose network falls ill, in low precision or always.

    By the fused way, the direct one, or the long one.
    """
    pix_fmt = "yuv444p" if way == "long" else "yuv420p"
    running = Upscaler(plan_of(card("fast-x2"), 64, 48, 2, pix_fmt), CPU)
    module = running._networks[0].module
    sound = module.trunk  # type: ignore[attr-defined]

    def trunk(x: torch.Tensor) -> torch.Tensor:
        rough = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
        return trouble(sound(x)) if rough or always else sound(x)

    monkeypatch.setattr(module, "trunk", trunk)
    for stage in running._direct:
        if way == "direct":
            stage.fused = None
        else:
            monkeypatch.setattr(stage.fused, "_trunk", trunk)
    return running


@pytest.mark.parametrize("word", NONSENSE)
@pytest.mark.parametrize("way", ["fused", "direct", "long"])
def test_a_frame_that_can_not_be_is_computed_again_in_fp32(
    way: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 59."""
    running = ill(way, monkeypatch, NONSENSE[word])
    frame = picture("yuv444p" if way == "long" else "yuv420p", 64, 48)
    (made,) = running([frame])
    (sound,) = ill(way, monkeypatch, lambda x: x)([frame])
    for a, b in zip(made.planes, sound.planes, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1
    assert running.notes
    assert all(word in note and "again in fp32" in note for note in running.notes)


@pytest.mark.parametrize("way", ["fused", "direct", "long"])
def test_where_fp32_does_not_help_the_run_ends(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 59."""
    running = ill(way, monkeypatch, NONSENSE["NaN"], always=True)
    with pytest.raises(VerificationError, match="fast-x2 gave non-finite values .* in fp32 too"):
        running([picture("yuv444p" if way == "long" else "yuv420p", 64, 48)])
    assert VerificationError.exit_code == 7


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "gray"])
@pytest.mark.parametrize("code", [0, 16, 17, 235, 255])
def test_black_white_and_what_lies_beyond_are_no_illness(pix_fmt: str, code: int) -> None:
    """Case 59."""
    running = Upscaler(plan_of(card("fast-x2"), 64, 48, 2, pix_fmt), CPU)
    planes = [np.full_like(p, 128 if n else code) for n, p in enumerate(picture(pix_fmt, 64, 48).planes)]
    planes[0][10:12, 10:14] = 235
    running([Frame(0, planes)])
    assert running.notes == []


def test_a_source_that_is_ill_itself_is_not_the_networks_fault() -> None:
    seen = torch.rand(1, 1, 32, 32)
    seen[0, 0, 3, 3] = float("nan")
    assert find_fault([value_statistics(seen, seen.repeat_interleave(2, 2), None)]) == ""
    bright = torch.rand(1, 1, 32, 32) * 1e4
    assert find_fault([value_statistics(bright, bright.repeat_interleave(2, 2) * 1.01, None)]) == ""


def test_codes_and_values_are_judged_alike() -> None:
    seen, made = (picture("yuv420p", *size).planes[0] for size in ((64, 48), (128, 96)))
    codes = sample_statistics(0.0, seen, made, 8, full=False)
    a, b = ((torch.from_numpy(p.copy()).float() - 16)[None, None] / 219 for p in (seen, made))
    values = value_statistics(a, b, None)
    assert (codes.before, codes.after) == pytest.approx((values.before, values.after), abs=0.01)


def test_one_sick_tile_among_sound_ones_is_enough() -> None:
    sound, black = TileStatistics(1.0, 0.4, 0.41, 0.9), TileStatistics(1.0, 0.4, 0.0, 0.0)
    assert find_fault([sound, sound]) == ""
    assert find_fault([sound, black]).startswith("black")


@pytest.mark.usefixtures("inline")
def test_a_run_says_what_was_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 59."""
    from models.architectures.compact import Compact
    from pipelines.plan.events import Note
    from tests import media
    from tests.helpers.inline import upscaled

    sound = Compact.trunk
    calls = []

    def trunk(self: Compact, x: torch.Tensor) -> torch.Tensor:
        calls.append(x.dtype)
        return sound(self, x) * (float("nan") if x.dtype == torch.bfloat16 and len(calls) in {3, 6} else 1.0)

    monkeypatch.setattr(Compact, "trunk", trunk)
    source = media.cfr(tmp_path / "in.mkv", frames=6)
    events = upscaled(source, tmp_path / "out.mkv", model="fast-x2", scale=2, precision="bf16")
    notes = [e.text for e in events if isinstance(e, Note)]
    told = "fast-x2 gave non-finite values (NaN or infinity); the tile was computed again in fp32"
    assert notes == [told, f"2 times: {told}"]
    assert torch.float32 in calls


def test_a_worker_whose_device_failed_an_assertion_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 55."""
    from pipelines.plan.events import Note
    from tests import media
    from tests.helpers.inline import upscaled
    from tests.helpers.sameness import assert_same_timing

    mark = tmp_path / "mark"
    monkeypatch.setenv("VSR_TEST_MARK", str(mark))
    source = media.cfr(tmp_path / "in.mkv", frames=6)
    events = upscaled(
        source, tmp_path / "out.mkv", worker="tests.pipelines.pool.failing_workers:AssertingOnce"
    )
    notes = [e.text for e in events if isinstance(e, Note)]
    assert len(notes) == 1
    assert "device-side assert triggered" in notes[0]
    assert mark.exists()
    assert_same_timing(tmp_path / "out.mkv", source)
