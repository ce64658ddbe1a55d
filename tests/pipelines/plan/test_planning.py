"""Target sizes, cascades, chunks and spans: pure functions, tested without media."""

from __future__ import annotations

from array import array
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalog.card import Card
from models.catalog.lookup import find_cards
from models.errors import UsageError
from pipelines.media.video_info import NO_PTS, PacketIndex
from pipelines.plan.chunking import clean_starts, cut_chunks, cut_spans, with_context
from pipelines.planner.geometry import target_size
from pipelines.planner.network_choice import choose_stages
from pipelines.settings.run_settings import TargetSettings


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((1280, 720), {"to": "4k"}, (3840, 2160)),
        ((720, 1280), {"to": "4k"}, (2160, 3840)),
        ((1920, 800), {"to": "4k"}, (3840, 1600)),
        ((720, 576), {"to": "4k"}, (2700, 2160)),
        ((1280, 720), {}, (3840, 2160)),
        ((1920, 1088), {}, (3812, 2160)),
        ((2560, 1440), {}, (7680, 4320)),
        ((853, 479), {"scale": 2}, (1706, 958)),
        ((853, 479), {"scale": 3}, (2560, 1438)),
        ((853, 479), {"scale": 1}, (854, 480)),
        ((640, 480), {"to": "1000x1000"}, (1000, 750)),
        ((480, 640), {"to": "8k"}, (4320, 5760)),
        ((1, 1), {"scale": 1}, (2, 2)),
    ],
)
def test_targets_keep_the_shape_and_are_even(
    size: tuple[int, int], target: dict[str, object], expected: tuple[int, int]
) -> None:
    """Case 66: odd sides get one more column or row by a factor, the nearest even number by a box."""
    assert target_size(*size, TargetSettings(**target), even=(True, True)) == expected  # type: ignore[arg-type]


def test_sides_stay_odd_where_nothing_asks_for_even_ones() -> None:
    assert target_size(853, 479, TargetSettings(scale=1), even=(False, False)) == (853, 479)
    assert target_size(5, 3, TargetSettings(scale=3), even=(True, False)) == (16, 9)


def card(name: str, scale: int, cost: float = 10.0) -> Card:
    return Card(name, scale, "compact", gflop_per_megapixel=cost)


FAMILY = [card("net-x2", 2, 10), card("net-x3", 3, 11), card("net-x4", 4, 14)]


def names(stages: object) -> list[tuple[str, int, int]]:
    return [(s.card.name, s.width, s.height) for s in stages]  # type: ignore[attr-defined]


def test_a_family_picks_the_scale_by_need() -> None:
    assert names(choose_stages([FAMILY], 1280, 720, 3840, 2160)) == [("net-x3", 3840, 2160)]
    assert names(choose_stages([FAMILY], 1920, 1080, 3840, 2160)) == [("net-x2", 3840, 2160)]


def test_what_overshoots_is_resized_once() -> None:
    assert names(choose_stages([FAMILY], 1280, 720, 2560, 1438)) == [
        ("net-x2", 2560, 1440),
        ("lanczos", 2560, 1438),
    ]
    assert names(choose_stages([FAMILY], 720, 576, 2700, 2160)) == [
        ("net-x4", 2880, 2304),
        ("lanczos", 2700, 2160),
    ]


def test_far_targets_take_a_cascade() -> None:
    stages = names(choose_stages([FAMILY], 1280, 720, 7680, 4320))
    assert stages[-1][1:] == (7680, 4320)
    assert len([s for s in stages if s[0] != "lanczos"]) == 2


def test_a_restoring_network_without_crisp_weights_is_the_one_that_reaches_the_target() -> None:
    """Not a smaller one and a resize, although that has a little less arithmetic."""
    restoring = [replace(c, settings={**c.settings, "crisp": False}) for c in find_cards("real-fast")]
    assert names(choose_stages([restoring], 1920, 1080, 3840, 2160)) == [("real-fast-x2", 3840, 2160)]
    assert names(choose_stages([restoring], 1280, 720, 3840, 2160)) == [("real-fast-x3", 3840, 2160)]
    assert names(choose_stages([restoring], 1280, 720, 3200, 1800)) == [
        ("real-fast-x3", 3840, 2160),
        ("lanczos", 3200, 1800),
    ]
    far = [name for name, *_ in names(choose_stages([restoring], 640, 360, 3840, 2160))]
    assert far[0] == "real-fast-x2"
    assert far[1].startswith("fast-")


def test_behind_a_restoring_network_that_only_doubles_a_small_rest_is_classical() -> None:
    """A second network would cost several times the first one, and find little to sharpen."""
    for choice in (find_cards("real-fast"), [card for card in find_cards("real-fast") if card.scale == 2]):
        assert names(choose_stages([choice], 1280, 720, 3840, 2160)) == [
            ("real-fast-x2", 2560, 1440),
            ("lanczos", 3840, 2160),
        ]
        assert names(choose_stages([choice], 960, 540, 3840, 2160)) == [
            ("real-fast-x2", 1920, 1080),
            ("lanczos", 3840, 2160),
        ]
        far = [name for name, *_ in names(choose_stages([choice], 640, 360, 3200, 1800))]
        assert far[0] == "real-fast-x2"
        assert far[1].startswith("fast-")


def test_a_chain_runs_its_first_network_first() -> None:
    assert names(choose_stages([[card("clean-x1", 1)], FAMILY], 640, 360, 1280, 720)) == [
        ("clean-x1", 640, 360),
        ("net-x2", 1280, 720),
    ]


def test_identity_keeps_the_size_but_for_a_column_and_a_row() -> None:
    identity = [find_cards("identity")]
    assert names(choose_stages(identity, 853, 479, 854, 480)) == [("identity", 853, 479)]
    assert names(choose_stages(identity, 64, 1, 64, 2)) == [("identity", 64, 1)]
    assert names(choose_stages(identity, 64, 48, 32, 24)) == [("identity", 64, 48), ("lanczos", 32, 24)]
    with pytest.raises(UsageError, match="keeps the size.*identity,lanczos"):
        choose_stages(identity, 64, 48, 128, 96)


def test_a_chain_that_ends_with_a_classical_scaler_reaches_smaller_targets_too() -> None:
    """A restoring network that doubles, and Lanczos back: a film restored at its own size."""
    lanczos = find_cards("lanczos")
    for out in ((640, 360), (1280, 720), (1920, 1080)):
        first, *rest = names(choose_stages([[card("net-x2", 2)], lanczos], 640, 360, *out))
        assert first == ("net-x2", 1280, 720)
        assert rest == ([] if out == (1280, 720) else [("lanczos", *out)])
    with pytest.raises(UsageError, match="net-x2 gives 1280x720, so there is nothing left for net"):
        choose_stages([[card("net-x2", 2)], FAMILY], 640, 360, 1280, 720)


@pytest.mark.parametrize("model", ["lanczos", "nearest"])
def test_a_target_not_above_the_source_is_refused(model: str) -> None:
    with pytest.raises(UsageError, match="not above"):
        choose_stages([find_cards(model)], 640, 480, 640, 480)
    with pytest.raises(UsageError, match="not above"):
        choose_stages([FAMILY], 640, 480, 320, 240)


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=80),
    st.none() | st.floats(0.01, 30, allow_nan=False),
    st.sets(st.integers(0, 79)),
    st.integers(0, 79),
    st.integers(1, 80),
)
@settings(max_examples=300, deadline=None)
def test_chunks_cover_every_frame_once_and_in_order(
    steps: list[int], seconds: float | None, clean: set[int], start: int, count: int
) -> None:
    pts, now = [], -500
    for step in steps:
        now += step
        pts.append(now)
    start = min(start, len(pts) - 1)
    stop = min(len(pts), start + count)
    points = sorted(pts[n] for n in clean if n < len(pts))
    chunks = cut_chunks(pts, Fraction(1, 1000), seconds, points, (start, stop))
    assert [c.index for c in chunks] == list(range(len(chunks)))
    assert chunks[0].start_frame == start
    assert chunks[-1].stop_frame == stop
    assert all(a.stop_frame == b.start_frame for a, b in zip(chunks, chunks[1:], strict=False))
    assert all(c.frame_count > 0 for c in chunks)


def test_cuts_fall_on_clean_points_that_are_near() -> None:
    pts = list(range(0, 100))
    chunks = cut_chunks(pts, Fraction(1, 10), 2.0, [0, 17, 41, 63, 80], (0, 100))
    assert [c.start_frame for c in chunks] == [0, 17, 41, 63, 80]


@pytest.mark.parametrize(
    ("frames", "lengths"),
    [
        (40, [40]),
        (100, [36, 36, 28]),
        (24 * 10, [36, 36, 72, 96]),
        (24 * 30, [36, 36, 72, 144, 144, 144, 144]),
    ],
)
def test_the_first_chunks_are_shorter_so_that_a_run_soon_has_something_to_keep(
    frames: int, lengths: list[int]
) -> None:
    chunks = cut_chunks(list(range(7, 7 + frames)), Fraction(1, 24), None, [], (0, frames))
    assert [c.frame_count for c in chunks] == lengths


def test_a_given_chunk_length_is_that_of_the_first_chunks_too() -> None:
    chunks = cut_chunks(list(range(240)), Fraction(1, 24), 2.0, [], (0, 240))
    assert {c.frame_count for c in chunks} == {48}


def index_of(rows: list[tuple[int, bool]]) -> PacketIndex:
    index = PacketIndex()
    for number, (pts, clean) in enumerate(rows):
        index.pts.append(pts)
        index.dts.append(number)
        index.duration.append(1)
        index.size.append(100)
        index.clean.append(clean)
        index.discard.append(0)
    return index


OPEN = [
    (2, True),
    (0, False),
    (1, False),
    (5, True),
    (3, False),
    (4, False),
    (8, True),
    (6, False),
    (7, False),
]
"""Open GOPs in decode order: leading pictures 3, 4 come behind key 5 and belong before it."""


def test_a_span_reaches_behind_the_next_key_for_its_leading_pictures() -> None:
    """Case 4."""
    index = index_of(OPEN)
    pts = list(range(9))
    chunks = cut_chunks(pts, Fraction(1), 3.0, [2, 5, 8], (0, 9))
    spans = cut_spans(index, pts, chunks, linear=False)
    for span in spans:
        shipped = {index.pts[row] for row in range(span.first_row, span.stop_row)}
        for chunk in span.chunks:
            assert set(pts[chunk.start_frame : chunk.stop_frame]) <= shipped
    (middle,) = [s for s in spans if s.chunks[0].start_frame == 2]
    assert middle.stop_row == 6, "the leading pictures of the key behind the chunk"


@given(
    st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 3)), min_size=1, max_size=8),
    st.integers(1, 12),
)
@settings(max_examples=300, deadline=None)
def test_every_span_ships_what_its_chunks_need_from_a_clean_point_on(
    gops: list[tuple[int, bool, int]], frames: int
) -> None:
    """Cases 4 and 5: GOPs of any length, open or closed, clean or not."""
    rows: list[tuple[int, bool]] = []
    now = 0
    for length, clean, leading in gops:
        lead = min(leading, length - 1) if rows else 0
        rows.append((now + lead, clean or not rows))
        rows += [(now + n, False) for n in range(lead)]
        rows += [(now + n, False) for n in range(lead + 1, length)]
        now += length
    index, pts = index_of(rows), list(range(now))
    starts = [p for p, clean in rows if clean]
    chunks = cut_chunks(pts, Fraction(1), float(frames), starts, (0, now))
    spans = cut_spans(index, pts, chunks, linear=False)
    assert [c for s in spans for c in s.chunks] == list(chunks)
    for span in spans:
        assert index.clean[span.first_row] or span.first_row == 0
        shipped = {index.pts[row] for row in range(span.first_row, span.stop_row)}
        wanted = {p for c in span.chunks for p in pts[c.start_frame : c.stop_frame]}
        assert wanted <= shipped
        assert index.pts[span.first_row] <= min(wanted) or span.first_row == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 3000), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=60
    ),
    st.randoms(use_true_random=False),
    st.floats(0.01, 5),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_order_of_packets_all_that_is_shown_is_shipped_once(
    packets: list[tuple[int, bool, bool, bool]], order: Random, seconds: float, context: tuple[int, int]
) -> None:
    """Case 68: any order of pts, with dts or without, any keys, hidden packets: chunks cover the display time
    once, and get their packets.
    """
    now, rows = -700, []
    for step, clean, hidden, dated in packets:
        now += step
        rows.append((now, clean, hidden, dated))
    order.shuffle(rows)
    index = index_of([(pts, clean) for pts, clean, _, _ in rows])
    index.discard[:] = bytes(hidden for _, _, hidden, _ in rows)
    for row, (_, _, _, dated) in enumerate(rows):
        index.dts[row] = order.randrange(-900, 200_000) if dated else NO_PTS
    pts = sorted(p for p, _, hidden, _ in rows if not hidden)
    if not pts:
        return
    starts = clean_starts(index)[0]
    chunks = cut_chunks(pts, Fraction(1, 1000), seconds, starts, (0, len(pts)))
    assert [p for c in chunks for p in pts[c.start_frame : c.stop_frame]] == pts
    spans = cut_spans(index, pts, chunks, linear=False, context=context)
    assert [c for s in spans for c in s.chunks] == list(chunks)
    for span in spans:
        shipped = {index.pts[row] for row in range(span.first_row, span.stop_row)}
        first, stop = with_context(span.chunks[0].start_frame, span.chunks[-1].stop_frame, context, len(pts))
        assert set(pts[first:stop]) <= shipped


def test_one_decoder_feeds_all_chunks_where_there_is_no_inner_clean_point() -> None:
    """Case 5."""
    index = index_of([(n, n == 0) for n in range(60)])
    pts = list(range(60))
    chunks = cut_chunks(pts, Fraction(1), 3.0, [0], (0, 60))
    assert len(chunks) > 10
    spans = cut_spans(index, pts, chunks, linear=False)
    assert all(s.first_row == 0 for s in spans)
    assert sum(s.stop_row - s.first_row for s in spans) < 4 * 60


def test_frames_known_by_order_share_one_span() -> None:
    """Case 12."""
    index = index_of([(n, True) for n in range(9)])
    chunks = cut_chunks(list(range(9)), Fraction(1), 3.0, [], (0, 9))
    (span,) = cut_spans(index, array("q", range(9)), chunks, linear=True)
    assert (span.first_row, span.stop_row, span.chunks) == (0, 9, chunks)
