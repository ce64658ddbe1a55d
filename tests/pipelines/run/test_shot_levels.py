"""Parts of a film with different restoration levels, through whole runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipelines.planner import network_choice
from tests import media
from tests.helpers.inline import planned_of, upscaled, without_processes
from tests.helpers.view import decoded, planes

if TYPE_CHECKING:
    from pathlib import Path

    import av


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)


def alike(one: list[av.VideoFrame], other: list[av.VideoFrame]) -> bool:
    assert one
    return len(one) == len(other) and all(
        np.array_equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(planes(x), planes(y), strict=True)
    )


def test_every_frame_has_the_level_of_its_part_however_a_film_is_cut_into_chunks_and_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=12, size=(64, 48))
    monkeypatch.setattr(network_choice, "estimate_levels", lambda *_, **__: ((0, 0.1), (5, 0.9)))

    def made(name: str, **settings: Any) -> list[av.VideoFrame]:
        events = upscaled(source, tmp_path / f"{name}.mkv", scale=2, model="real-fast", **settings)
        assert bool(planned_of(events).plan.restore_levels) == ("restore" not in settings)
        return decoded(tmp_path / f"{name}.mkv")

    whole = made("whole", chunk_seconds=10.0)
    low, high = (made(f"at{level}", restore=level) for level in (0.1, 0.9))
    assert alike(whole, [*low[:5], *high[5:]])
    assert not alike(low[5:], high[5:])
    assert alike(made("chunks", chunk_seconds=0.1), whole)
    assert alike(made("part", range="0.125-0.375"), whole[3:9])
