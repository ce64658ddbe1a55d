"""Events as JSON lines for programs, and as a progress bar for people."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.plan.events import (
    Advanced,
    AlreadyDone,
    ChunkFinished,
    Finished,
    Note,
    Phase,
    Planned,
    limit_text,
)
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.inline import QUICK, upscaled
from vsr.api import run_settings
from vsr.views.json_lines import JsonLines
from vsr.views.progress import ProgressView


@pytest.fixture
def events(tmp_path: Path, inline: None) -> list[object]:
    return upscaled(media.cfr(tmp_path / "in.mp4", frames=24), tmp_path / "out.mkv", chunk_seconds=0.3)


def test_every_event_is_one_json_object_a_line(events: list[object]) -> None:
    stream = io.StringIO()
    view = JsonLines(stream)
    for event in [*events, Note("a word"), AlreadyDone("x")]:
        view.show(event)  # type: ignore[arg-type]
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(found) == len(events) + 2
    assert found[0]["event"] == "plan"
    assert found[-3]["event"] == "done"
    assert found[-3]["frames"] == 24
    assert found[-2] == {"event": "note", "text": "a word"}
    frames = [f["frames"] for f in found if f["event"] == "progress"]
    assert frames == sorted(frames)
    assert frames[-1] == 24
    chunks = [f for f in found if f["event"] == "chunk"]
    assert [c["chunks_done"] for c in chunks] == list(range(1, len(chunks) + 1))


def test_the_bar_shows_plan_and_result_and_quiet_shows_nothing(events: list[object]) -> None:
    loud, silent = io.StringIO(), io.StringIO()
    for stream, quiet in ((loud, False), (silent, True)):
        view = ProgressView(stream, quiet=quiet)
        for event in events:
            view.show(event)  # type: ignore[arg-type]
        view.close()
    assert "64x48 -> 64x48, 24 frames, identity" in loud.getvalue()
    assert "24 frames" in loud.getvalue().splitlines()[-1]
    assert "verified" in loud.getvalue()
    assert silent.getvalue() == ""


def test_a_talkative_bar_tells_the_plan_and_every_chunk(events: list[object]) -> None:
    stream = io.StringIO()
    view = ProgressView(stream, verbose=True)
    for event in events:
        view.show(event)  # type: ignore[arg-type]
    view.close()
    lines = stream.getvalue().splitlines()
    assert sum(line.startswith("  chunk ") for line in lines) == sum(
        isinstance(e, ChunkFinished) for e in events
    )
    for begin in ("networks: identity", "encoder: ffv1 ", "plan: "):
        assert any(line.strip().startswith(begin) for line in lines), begin


def test_a_job_counts_every_frame_once(events: list[object]) -> None:
    assert [e.frames for e in events if isinstance(e, Advanced)][-1] == 24
    assert sum(e.frames for e in events if isinstance(e, ChunkFinished)) == 24
    assert isinstance(events[-1], Finished)


def test_the_pace_begins_with_the_first_frame_that_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that only decodes reports, too: how long it does says nothing of what is to come."""
    stream, clock, updates = io.StringIO(), [0.0], []
    for module in ("progress", "json_lines"):
        monkeypatch.setattr(f"vsr.views.{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))
    lines, drawn = JsonLines(stream), ProgressView(io.StringIO())
    drawn._bar = SimpleNamespace(
        n=0, update=updates.append, set_postfix_str=lambda *_, **__: None, close=lambda: None
    )  # type: ignore[assignment]
    for now, frames in ((0.0, 0), (50.0, 0), (100.0, 1), (106.0, 4)):
        clock[0] = now
        for view in (lines, drawn):
            view.show(Advanced(frames, 10, {}, step=int(frames > 0)))
    drawn.close()
    assert [json.loads(line)["left_seconds"] for line in stream.getvalue().splitlines()] == [
        None,
        None,
        None,
        12.0,
    ]
    assert updates == [1, 4]


def test_at_the_end_the_bar_says_what_is_done_and_after_a_request_to_stop_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, stopping = [], [False]
    view = ProgressView(io.StringIO(), stopping=lambda: stopping[0])
    view._bar = SimpleNamespace(  # type: ignore[assignment]
        n=0,
        update=lambda _: None,
        set_postfix_str=lambda text, **_: said.append(text),
        close=lambda: None,
        format_dict={"rate": 2.0},
    )
    view.show(Advanced(1, 10, {"network": 1.0}, step=1, until_stop=9))
    stopping[0] = True
    view.show(Advanced(3, 10, {"network": 1.0}, step=2, until_stop=7))
    view.show(Advanced(8, 10, {"network": 1.0}, step=5, until_stop=0))
    view.show(Advanced(10, 10, {"network": 1.0}, step=2))
    view.show(Phase("verifying"))
    assert said == [
        "limited by the network", "stopping after 7 more frames, about 4 s; Ctrl-C again stops now", "stopping: encoding the rest of the chunk", "encoding the rest", "verifying"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "learned", "classical"),
    [
        ({"decode wait": 1.0, "network": 3.0, "encode wait": 2.0}, "the network", "scaling"),
        ({"decode wait": 1.0, "network": 0.5, "encode wait": 2.0}, "encoding", "encoding"),
        ({"decode wait": 0.0, "network": 0.0}, "", ""),
        ({}, "", ""),
    ],
)
def test_without_a_network_none_is_said_to_limit_a_run(
    seconds: dict[str, float], learned: str, classical: str
) -> None:
    assert limit_text(seconds, is_learned=True) == learned
    assert limit_text(seconds, is_learned=False) == classical


def test_a_run_without_a_network_names_none(events: list[object]) -> None:
    done = events[-1]
    assert isinstance(done, Finished)
    assert "network" not in done.limiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_until_the_first_frame_the_bar_says_that_it_starts(events: list[object]) -> None:
    stream = Terminal()
    view = ProgressView(stream)
    view.show(next(e for e in events if isinstance(e, Planned)))
    assert "starting]" in stream.getvalue()
    view.show(next(e for e in events if isinstance(e, Advanced) and e.step))
    view.close()
    assert "starting" not in stream.getvalue().rpartition("\r")[2]


def test_in_a_pipe_what_is_done_at_the_end_of_a_short_run_is_no_line(events: list[object]) -> None:
    stream = io.StringIO()
    view = ProgressView(stream)
    for event in events:
        view.show(event)  # type: ignore[arg-type]
    assert not any(word in stream.getvalue() for word in ("encoding the rest", "verifying", "left"))


def test_what_a_stop_waits_for_is_counted_down_chunk_by_chunk(events: list[object]) -> None:
    made, ends = 0, []
    for event in events:
        if isinstance(event, Advanced) and event.step:
            ends.append(event.frames + event.until_stop)
        made += isinstance(event, ChunkFinished)
    planned = next(e for e in events if isinstance(e, Planned))
    assert len(ends) > 1
    assert set(ends) <= {c.stop_frame for c in planned.plan.chunks}
    assert [e.text for e in events if isinstance(e, Phase)] == [
        "putting the result together",
        "verifying",
        "bringing it to the disk",
    ]


def test_the_last_line_says_which_tracks_and_chapters_came_along(tmp_path: Path, inline: None) -> None:
    events = upscaled(media.company(tmp_path / "in.mkv"), tmp_path / "out.mkv")
    done = events[-1]
    assert isinstance(done, Finished)
    assert done.kept == ("2 audio tracks", "3 subtitle tracks", "1 attachment", "1 cover", "2 chapters")
    stream = io.StringIO()
    ProgressView(stream).show(done)
    assert "; with 2 audio tracks, 3 subtitle tracks, " in stream.getvalue()


def test_frames_of_an_earlier_run_are_neither_speed_nor_missing_from_the_bar(
    tmp_path: Path, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from models.errors import Interrupted

    source, output, stop = media.cfr(tmp_path / "in.mp4", frames=24), tmp_path / "out.mkv", threading.Event()
    with pytest.raises(Interrupted):
        for event in upscale_video(source, output, run_settings(**QUICK, chunk_seconds=0.3), stop=stop):
            if isinstance(event, ChunkFinished):
                stop.set()
    again = upscaled(source, output, chunk_seconds=0.3)
    planned = next(e for e in again if isinstance(e, Planned))
    done = again[-1]
    assert isinstance(done, Finished)
    assert planned.frames_done > 0
    assert (done.frames, done.made) == (24, 24 - planned.frames_done)
    assert done.fps == pytest.approx(done.made / done.seconds)
    stream = io.StringIO()
    view = ProgressView(stream)
    view.show(planned)
    assert view._bar is not None
    assert view._bar.n == planned.frames_done
    view.show(done)
    assert "24 frames, " in stream.getvalue()
    assert f"{done.made} of them now, in " in stream.getvalue()
