"""Film frames as small JPEG files: the right frame, its size, and the pair of frames of a current run."""

from __future__ import annotations

import io
import json
import signal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import MediaError
from pipelines.diagnostics.film_still import latest_pair, still_frame
from tests import media
from tests.helpers.command import COPIED_AS_H264, started


def shown(jpeg: bytes) -> tuple[int, tuple[int, int]]:
    """(number that a picture of `tests.media` bears, width and height)."""
    with av.open(io.BytesIO(jpeg)) as container:
        luma = next(container.decode(video=0)).to_ndarray(format="gray")
    rows, columns = luma.shape
    bars = [luma[rows // 16, int((bit + 0.5) * columns / 16)] > 125 for bit in range(16)]
    return sum(int(bar) << bit for bit, bar in enumerate(bars)), (columns, rows)


@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.42, 0.5, 0.99])
def test_the_frame_that_is_shown_at_a_time(tmp_path: Path, seconds: float) -> None:
    film = media.cfr(tmp_path / "a.mp4", frames=24, size=(320, 240))
    assert shown(still_frame(film, seconds, 160)) == (int(seconds * 24), (160, 120))


def test_times_count_from_the_first_frame_and_the_last_one_is_shown_behind_the_end(tmp_path: Path) -> None:
    pts = tuple(900_000 + n * 9000 for n in range(8))
    film = media.write(
        tmp_path / "a.mkv",
        media.Film(frames=8, pts=pts, time_base=Fraction(1, 90000), size=(320, 240), rate=Fraction(10)),
    )
    assert [shown(still_frame(film, seconds, 320))[0] for seconds in (0.0, 0.15, 0.7, 99.0)] == [0, 1, 7, 7]


def test_pixels_that_are_not_square_are_shown_square(tmp_path: Path) -> None:
    film = media.cfr(tmp_path / "a.mp4", frames=2, size=(320, 240), sar=Fraction(2))
    assert shown(still_frame(film, 0.0, 320))[1] == (320, 120)


def test_what_is_no_film_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film")
    with pytest.raises(MediaError, match=r"a\.mp4: is not a video file"):
        still_frame(tmp_path / "a.mp4", 0.0, 160)


def test_the_pair_of_a_run_under_way_is_one_frame_of_source_and_result(tmp_path: Path) -> None:
    film = media.cfr(tmp_path / "a.mp4", frames=48, size=(320, 240))
    output = tmp_path / "out.mp4"
    options = [
        *COPIED_AS_H264,
        "--chunk-seconds",
        "0.5",
    ]
    process = started("run", film, "-o", output, *options, "--device", "cpu", "--json", worker="Slow")
    assert process.stdout is not None
    chunks = 0
    for line in process.stdout:
        chunks += json.loads(line)["event"] == "chunk"
        if chunks == 2:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    pair = latest_pair(output)
    assert pair is not None
    assert pair.chunk >= 1
    before, after = shown(pair.before), shown(pair.after)
    assert before == after
    assert before[1] == (320, 240)
    assert before[0] >= 12
    assert latest_pair(output, not_chunk=pair.chunk) is None
    assert np.frombuffer(pair.before[:2], np.uint8).tolist() == [0xFF, 0xD8]
