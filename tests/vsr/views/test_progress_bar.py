from __future__ import annotations

import io
import os
import select
import sys
import threading

import pytest

from vsr.views import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_is_drawn_in_place() -> None:
    stream = Terminal()
    with progress_bar.bar(10, "frame", stream) as drawn:
        drawn.update(10)
    assert "\r" in stream.getvalue()
    assert "10/10" in stream.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such terminals")
def test_a_terminal_that_does_not_say_how_wide_it_is_gets_a_bar_too() -> None:
    ours, theirs = os.openpty()  # 0 by 0, as nobody has given it a size
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        assert stream.isatty()
        with progress_bar.bar(10, "frame", stream) as drawn:
            drawn.update(10)
        stream.flush()
        shown = ""
        while "10/10" not in shown and select.select([ours], [], [], 10)[0]:  # one write may come in parts
            shown += os.read(ours, 4096).decode()
    os.close(ours)
    assert "10/10" in shown


def test_before_the_pace_is_known_no_time_left_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = Terminal(), [0.0]
    with progress_bar.bar(250, "frame", stream) as drawn:
        monkeypatch.setattr(drawn, "_time", lambda: clock[0])
        for now, done in ((56.0, 1), (58.0, 2), (64.0, 6)):
            clock[0] = now
            drawn.update(done - drawn.n)
            drawn.refresh()
            said = stream.getvalue().rpartition("\r")[2]
            assert ("<?, ?frame/s" in said) == (now < 60), said
    assert "1.50s/frame" in said


def test_elsewhere_nothing_is_written_over_and_short_work_says_nothing() -> None:
    stream = io.StringIO()
    with progress_bar.bar(10, "frame", stream) as drawn:
        drawn.update(10)
        drawn.write("a note", file=stream)
    assert stream.getvalue() == "a note\n"


def test_long_work_elsewhere_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "_LINE_EVERY_SECONDS", 1e-6)
    stream = io.StringIO()
    with progress_bar.bar(4, "frame", stream, "film.mp4") as drawn:
        for _ in range(4):
            drawn.update(1)
    lines = stream.getvalue().splitlines()
    assert any(line.startswith("  film.mp4: 3 of 4 frames") for line in lines)
    assert "?" not in stream.getvalue()
    assert not any(c in stream.getvalue() for c in "\r\x1b")


def test_one_frame_is_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "_LINE_EVERY_SECONDS", 1e-6)
    stream = io.StringIO()
    with progress_bar.bar(1, "frame", stream) as drawn:
        drawn.update(1)
    assert stream.getvalue() == "  1 of 1 frame\n"


def test_a_note_in_a_pipe_repeats_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "_LINE_EVERY_SECONDS", 1e-6)
    stream = io.StringIO()
    with progress_bar.bar(4, "frame", stream) as drawn:
        drawn.update(2)
        drawn.write("a note", file=stream)
        drawn.write("another", file=stream)
    assert stream.getvalue().splitlines() == ["  2 of 4 frames", "a note", "another"]


def test_on_a_terminal_the_clock_ticks_while_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "_TICK_SECONDS", 0.001)
    drawn_again = threading.Event()
    with progress_bar.bar(10, "frame", Terminal()) as drawn:
        monkeypatch.setattr(drawn, "refresh", drawn_again.set)
        assert drawn_again.wait(60)


def test_an_estimate_that_was_made_before_is_the_time_left_at_first() -> None:
    stream = Terminal()
    with progress_bar.bar(250, "frame", stream, expected=2.0):
        pass
    assert "<02:05,  2.00frame/s" in stream.getvalue()
