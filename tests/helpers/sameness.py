"""Assertions with a built-in tolerance."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from tests.helpers.view import Shown, View, frames, view

MATROSKA_TICK = Fraction(1, 1000)


def assert_same_times(found: list[Fraction], expected: list[Fraction], *, matroska: bool = False) -> None:
    """Equal to the tick; in Matroska within half of its millisecond, and still in order."""
    assert len(found) == len(expected)
    allowed = MATROSKA_TICK / 2 if matroska else Fraction(0)
    worst = max((abs(a - b) for a, b in zip(found, expected, strict=True)), default=Fraction(0))
    assert worst <= allowed, f"off by {float(worst):.6f} s"
    assert all(a < b for a, b in zip(found, found[1:], strict=False)), "not strictly ascending"


def assert_same_timing(output: Path, source: Path, *, shift: Fraction = Fraction(0)) -> None:
    """The output shows as many frames as the source, each at its time (plus one constant shift; recordings
    begin at 0).
    """
    shift -= recording_start(source)
    expected = [f.seconds + shift for f in frames(source)]
    assert_same_times(
        [f.seconds for f in frames(output)], expected, matroska=output.suffix in {".mkv", ".webm"}
    )


def recording_start(source: Path) -> Fraction:
    """Seconds at which the first film or sound of an MPEG-TS or PS begins, whose clock is a counter.

    0 for everything else.
    """
    if source.suffix not in {".ts", ".m2ts", ".mpg", ".vob"}:
        return Fraction(0)
    seen = view(source)
    return min(min(track.pts) for track in (*seen.of("video"), *seen.of("audio")) if track.pts)


def assert_same_frames(found: list[Shown], expected: list[Shown]) -> None:
    """The same pixels in the same order."""
    assert len(found) == len(expected)
    wrong = [
        n
        for n, (a, b) in enumerate(zip(found, expected, strict=True))
        if (a.digest, a.format, a.size) != (b.digest, b.format, b.size)
    ]
    assert not wrong, f"frames {wrong[:10]} differ; {found[wrong[0]]} instead of {expected[wrong[0]]}"


def assert_same_passthrough(
    output: View | Path, source: View | Path, *, kinds: tuple[str, ...] = ("audio", "subtitle")
) -> None:
    """Every packet of the other tracks bit for bit, and their tags."""
    after, before = (v if isinstance(v, View) else view(v) for v in (output, source))
    for kind in kinds:
        assert len(after.of(kind)) == len(before.of(kind)), kind
        for a, b in zip(after.of(kind), before.of(kind), strict=True):
            assert a.payloads == b.payloads, f"{kind} stream {b.index}"
            assert a.metadata.get("language") == b.metadata.get("language")
            assert a.metadata.get("title") == b.metadata.get("title")
            assert a.disposition == b.disposition


def assert_decodable_order(film: View) -> None:
    """Decode times strictly ascending, and no frame shown before it is decoded."""
    track = film.film
    assert all(a < b for a, b in zip(track.dts, track.dts[1:], strict=False)), (
        "decode times are not strictly ascending"
    )
    assert all(d <= p for d, p in zip(track.dts, track.pts, strict=True)), (
        "a frame is decoded after it is shown"
    )
