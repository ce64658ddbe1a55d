"""Signs of life from a worker that needs long for one frame, and their absence if it hangs."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipelines.codec.encoder import encode_chunk
from pipelines.inference.tile_threads import TileThreadPool
from pipelines.media.cicp import ColorTags
from pipelines.media.video_info import Frame
from pipelines.pool import child_process
from pipelines.settings.encoder_spec import Encoder
from tests import media


@pytest.mark.parametrize("lanes", [1, 2])
def test_every_tile_counts(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 57."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: lanes)
    made = TileThreadPool(lanes)
    assert made.count == lanes
    seen = []
    for _ in made.map(lambda n: n, [1, 2, 3]):
        seen.append(made.done)
    assert seen == [1, 2, 3]


def test_every_packet_counts_also_while_the_encoder_drains() -> None:
    """Case 57: x265 holds dozens of frames of 8K, which take it minutes."""
    frames = [Frame(n, media.planes_of(n, 64, 48)) for n in range(12)]
    encoder = Encoder(
        "h264",
        "libx264",
        64,
        48,
        "yuv420p",
        {"preset": "veryfast", "x264-params": "sync-lookahead=0:rc-lookahead=40:threads=1"},
    )
    steps: list[int] = []
    chunk = encode_chunk(
        frames,
        0,
        encoder,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        sar=Fraction(1),
        color=ColorTags(1, 1, 1, 1, 1),
        step=lambda: steps.append(1),
    )
    assert len(steps) == len(chunk.pts) == 12


def test_a_pulse_that_stands_still_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 57: or a worker that hangs would never be replaced."""
    worker, told, rounds = SimpleNamespace(pulse=3), [], iter([3, 4, 4, 4, 9])

    def sleep(_: float) -> None:
        worker.pulse = next(rounds, None)
        if worker.pulse is None:
            raise OSError("the line is closed")

    monkeypatch.setattr(child_process, "time", SimpleNamespace(sleep=sleep))
    line: Any = SimpleNamespace(tell=lambda kind, key, value: told.append((kind, value)))
    child_process._tell_pulse(line, worker)  # type: ignore[arg-type]
    assert told == [("pulse", 4), ("pulse", 9)]
