"""Planning is pure: sizes, cascades, chunks and spans, without any media."""

from __future__ import annotations

from array import array
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.catalog import Card
from models.errors import UsageError
from pipelines.plan import choose_stages, clean_starts, cut_chunks, cut_spans, target_size
from pipelines.settings import TargetSettings
from pipelines.video import PacketIndex

EVEN = (True, True)


def cards(*scales: int, name: str = "net") -> list[Card]:
    return [Card(f"{name}-x{s}", s, "compact", gflop_per_megapixel=40.0) for s in scales]


LANCZOS = [Card("lanczos", 0, "interpolation", settings={"kernel": "lanczos"})]
IDENTITY = [Card("identity", 1, "interpolation", settings={"kernel": "identity"})]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((1280, 720), TargetSettings(), (3840, 2160)),
        ((1920, 1080), TargetSettings(), (3840, 2160)),
        ((2560, 1440), TargetSettings(), (7680, 4320)),
        ((720, 1280), TargetSettings(to="4k"), (2160, 3840)),
        ((1920, 804), TargetSettings(to="4k"), (3840, 1608)),
        ((720, 576), TargetSettings(to="4k"), (2700, 2160)),
        ((853, 479), TargetSettings(scale=3), (2560, 1438)),
        ((1, 1), TargetSettings(scale=2), (2, 2)),
        ((640, 480), TargetSettings(to="1000x1000"), (1000, 750)),
        ((480, 640), TargetSettings(to="1000x900"), (676, 900)),
    ],
)
def test_target_keeps_the_shape_and_is_even(source, target, expected):
    assert target_size(*source, target, even=EVEN) == expected


def test_sides_stay_odd_where_nothing_asks_for_even_ones():
    assert target_size(853, 479, TargetSettings(scale=1), even=(False, False)) == (853, 479)


@pytest.mark.parametrize(
    ("scales", "source", "out", "expected"),
    [
        ((2, 3, 4), (1920, 1080), (3840, 2160), ["net-x2"]),
        ((2, 3, 4), (1280, 720), (3840, 2160), ["net-x3"]),
        ((2, 3, 4), (1280, 720), (7680, 4320), ["net-x2", "net-x3"]),
        ((2,), (1280, 720), (3840, 2160), ["net-x2", "net-x2", "lanczos"]),
        ((2, 3, 4), (853, 479), (2560, 1438), ["net-x3"]),
        ((2, 3, 4), (1366, 768), (3840, 2158), ["net-x3", "lanczos"]),
    ],
)
def test_cheapest_cascade_that_covers_the_target_is_taken(scales, source, out, expected):
    stages = choose_stages([cards(*scales)], *source, *out)
    assert [s.card.name for s in stages] == expected
    assert stages[-1].width <= out[0] <= stages[-1].width + 1


def test_classical_scaler_reaches_any_size_in_one_step():
    (stage,) = choose_stages([LANCZOS], 1366, 768, 3840, 2158)
    assert (stage.width, stage.height) == (3840, 2158)


def test_target_not_above_the_source_is_refused():
    with pytest.raises(UsageError, match="not above"):
        choose_stages([cards(2)], 3840, 2160, 3840, 2160)
    with pytest.raises(UsageError, match="not above"):
        choose_stages([LANCZOS], 1920, 1080, 1280, 720)


def test_network_that_keeps_the_size_is_no_upscaler():
    assert choose_stages([IDENTITY], 64, 48, 64, 48)[0].card.name == "identity"
    with pytest.raises(UsageError, match="keeps the size"):
        choose_stages([IDENTITY], 64, 48, 128, 96)


def test_chain_runs_its_first_network_once():
    chain = choose_stages([[Card("restore-x1", 1, "compact")], cards(2)], 100, 50, 200, 100)
    assert [s.card.name for s in chain] == ["restore-x1", "net-x2"]


TICK = Fraction(1, 24)


def test_chunks_end_at_clean_points_where_one_is_near():
    chunks = cut_chunks(range(240), TICK, 2.0, [0, 50, 96, 150, 200], 0, 240)
    assert [c.start_frame for c in chunks] == [0, 50, 96, 150, 200]


def test_long_gops_are_cut_all_the_same():
    chunks = cut_chunks(range(240), TICK, 2.0, [0], 0, 240)
    assert [c.frame_count for c in chunks] == [48] * 5


def test_no_sliver_is_left_at_the_end():
    chunks = cut_chunks(range(100), TICK, 2.0, [0], 0, 100)
    assert [c.frame_count for c in chunks] == [48, 52]


@given(
    steps=st.lists(st.integers(1, 90), min_size=1, max_size=200),
    clean_at=st.sets(st.integers(0, 199)),
    seconds=st.floats(0.05, 20),
    part=st.tuples(st.integers(0, 199), st.integers(1, 200)),
)
def test_chunks_cover_every_frame_once_whatever_the_timing(steps, clean_at, seconds, part):
    pts = [sum(steps[:i]) for i in range(len(steps))]
    start = min(part[0], len(pts) - 1)
    stop = min(len(pts), start + part[1])
    chunks = cut_chunks(pts, TICK, seconds, sorted(pts[i] for i in clean_at if i < len(pts)), start, stop)
    frames = [f for c in chunks for f in range(c.start_frame, c.stop_frame)]
    assert frames == list(range(start, stop))
    assert all(c.frame_count > 0 for c in chunks)


def packets(pts: list[int], clean: set[int]) -> PacketIndex:
    """An index in decode order; `clean` holds rows."""
    n = len(pts)
    return PacketIndex(array("q", pts), array("q", range(n)), array("q", [1] * n), array("q", [10] * n), bytearray(i in clean for i in range(n)), bytearray(n))


# Two open GOPs: row 5 is a key frame shown at 5, followed by pictures shown at 3 and 4.
OPEN = packets([0, 2, 1, 5, 3, 4, 8, 6, 7, 11, 9, 10], {0, 3, 9})


def test_span_ships_the_leading_pictures_behind_the_next_key_frame():
    pts = sorted(OPEN.pts)
    chunks = cut_chunks(pts, Fraction(1), 5.0, clean_starts(OPEN)[0], 0, 12)
    spans = cut_spans(OPEN, pts, chunks, linear=False)
    first = spans[0]
    last_own = chunks[0].stop_frame - 1
    needed = {row for row, p in enumerate(OPEN.pts) if p <= pts[last_own]}
    assert needed <= set(range(first.first_row, first.stop_row))


def test_key_frame_shown_before_something_already_decoded_is_no_start():
    index = packets([0, 6, 2, 4, 8], {0, 3})
    assert clean_starts(index)[0] == [0]


@given(order=st.permutations(range(24)), keys=st.sets(st.integers(0, 23), max_size=6), seconds=st.floats(0.5, 9))
def test_spans_hold_every_packet_their_chunks_show(order, keys, seconds):
    index = packets(list(order), keys | {0})
    pts = sorted(index.pts)
    chunks = cut_chunks(pts, Fraction(1), seconds, clean_starts(index)[0], 0, len(pts))
    spans = cut_spans(index, pts, chunks, linear=False)
    assert [c for s in spans for c in s.chunks] == list(chunks)
    for span in spans:
        shipped = {index.pts[row] for row in range(span.first_row, span.stop_row)}
        for chunk in span.chunks:
            own = set(pts[chunk.start_frame : chunk.stop_frame])
            assert own <= shipped or span.first_row == 0
        assert span.first_row == 0 or index.clean[span.first_row]


def test_frames_known_by_order_share_one_decoder():
    chunks = cut_chunks(range(40), Fraction(1), 10.0, [], 0, 40)
    (span,) = cut_spans(packets(list(range(40)), {0, 10}), range(40), chunks, linear=True)
    assert (span.first_row, span.stop_row, len(span.chunks)) == (0, 40, 4)


def test_chunks_far_from_a_clean_point_share_one_decoder():
    index = packets(list(range(100)), {0})
    chunks = cut_chunks(range(100), Fraction(1), 10.0, [0], 0, 100)
    spans = cut_spans(index, range(100), chunks, linear=False)
    assert len(spans) < len(chunks)
    assert sum(len(s.chunks) for s in spans) == len(chunks)
