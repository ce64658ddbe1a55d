"""Whether a film is interlaced, by its flags and by its images. Case 15."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.interlacing import scan_detection as interlacing
from pipelines.interlacing.field_evidence import InterlaceSample
from pipelines.interlacing.field_motion import field_phase, sample_of
from pipelines.interlacing.scan_detection import judge
from pipelines.media.video_info import ScanType
from pipelines.probe.probe import probe
from tests import media
from tests.benchmarks.interlacing import verdict
from tests.benchmarks.interlacing_clips import corpus


def look(
    top: object = 0,
    bottom: object = 0,
    progressive: object = 0,
    flagged: dict[str, int] | None = None,
    kinds: str = "",
) -> InterlaceSample:
    """Votes: of every cell, or as they lie in the picture."""
    votes = [
        np.stack([np.zeros((4, 4), int) + np.asarray(v), np.zeros((4, 4), int)])
        for v in (top, bottom, progressive)
    ]
    return InterlaceSample(*votes, Counter(flagged or {"progressive": 12}), kinds)


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_flags_tell_which_field_comes_first(tmp_path: Path, first: str) -> None:
    """Case 15."""
    assert probe(media.fields(tmp_path / "in.mp4", first)).scan == ScanType(first, "flags")


def test_fields_behind_whole_frames_are_found_though_the_clock_begins_anew(tmp_path: Path) -> None:
    """Case 15: two recordings joined, so that the same times come twice."""
    kind = media.Film(frames=12, rate=Fraction(25), size=(96, 64), codec="mpeg2video")
    whole = media.write(tmp_path / "a.ts", kind)
    woven = media.fields(tmp_path / "b.ts", frames=12, codec="mpeg2video", size=(96, 64), rate=Fraction(25))
    both = tmp_path / "in.ts"
    both.write_bytes(whole.read_bytes() + woven.read_bytes())
    info = probe(both)
    assert info.epochs
    assert info.scan == ScanType("top", "flags")


@pytest.mark.parametrize("first", ["top", "bottom"])
def test_without_flags_pictures_tell_it(tmp_path: Path, first: str) -> None:
    """Case 15."""
    source = media.fields(tmp_path / "in.mp4", first, flagged=False)
    assert probe(source).scan == ScanType(first, "pictures")


def test_pictures_overrule_a_flagged_order_they_plainly_contradict(tmp_path: Path) -> None:
    source = media.fields(tmp_path / "in.mp4", "top", field_flags="bff")
    assert probe(source).scan == ScanType("top", "pictures")


@pytest.mark.parametrize(
    "options", [{"flags": "+ildct+ilme"}, {"x264-params": "fake-interlaced=1:tff=1:pic-struct=1"}]
)
def test_whole_frames_are_not_taken_for_fields_whatever_their_flags(
    tmp_path: Path, options: dict[str, str]
) -> None:
    """Case 15."""
    assert probe(media.cfr(tmp_path / "wave.mp4", frames=40, size=(128, 96))).scan == ScanType()
    flagged = media.cfr(tmp_path / "psf.mp4", frames=40, size=(128, 96), options=options, field_flags="tff")
    assert probe(flagged).scan == ScanType("progressive", "pictures", doubt="top")


def test_flags_are_believed_where_nothing_moves(tmp_path: Path) -> None:
    still = media.cfr(
        tmp_path / "still.mp4",
        size=(128, 96),
        options={"flags": "+ildct+ilme"},
        field_flags="bff",
        still=True,
    )
    assert probe(still).scan == ScanType("bottom", "flags")


def test_fields_kept_as_pictures_of_their_own_are_not_taken_for_whole_frames() -> None:
    """HEVC: each of them is whole, and says nothing of the other."""
    fields = look(progressive=20, flagged={"top": 12})
    assert judge([fields], "") == ScanType("progressive", "pictures", doubt="top")
    assert judge([fields], "", apart=True) == ScanType("top", "flags")


def picture(x: float, y: int = 0) -> np.ndarray:
    """Soft blobs, moved to the right and down: (96, 192) codes."""
    row, column = np.mgrid[0:96, 0:192]
    column = column - x
    row = row - y
    wave = np.sin(column / 9 + 2 * np.sin(row / 17)) + np.cos(row / 11 - column / 23)
    return np.asarray(128 + 45 * wave)


def woven(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    made = top.copy()
    made[1::2] = bottom[1::2]
    return np.asarray(np.rint(made), np.uint8)


@pytest.mark.parametrize(("later", "kind"), [(0.0, "p"), (1.5, "t"), (-1.5, "b"), (3.0, "t"), (-3.0, "b")])
@pytest.mark.parametrize("drawn", ["plain", "scan lines", "deep"])
def test_moving_blocks_tell_when_each_field_was_taken(later: float, kind: str, drawn: str) -> None:
    """later: pixels the picture moves from the top to the bottom field, of 3 a frame: fields, or telecine
    (all of it).
    """
    frames = [woven(picture(3 * n), picture(3 * n + later)) for n in range(2)]
    if drawn == "scan lines":
        kind = "u"  # one field is darker than the other; that they say nothing is all that can be asked
        frames = [(f * np.where(np.arange(96) % 2, 0.5, 1.0)[:, None]).astype(np.uint8) for f in frames]
    samples = [sample_of(f.astype(np.uint16) * 4, 10) if drawn == "deep" else sample_of(f) for f in frames]
    assert samples[0] is not None
    assert samples[1] is not None
    votes = field_phase(samples[0], samples[1])
    assert votes.kind == kind
    counts = {"t": votes.top.sum(), "b": votes.bottom.sum(), "p": votes.progressive.sum()}
    assert kind == "u" or counts[kind] > 3 * sum(n for k, n in counts.items() if k != kind)


@pytest.mark.parametrize("lines", [1, 2, 3, -1])
def test_whole_frames_that_roll_by_lines_are_no_fields(lines: int) -> None:
    """Every line of one field is where a line of the other was.

    Neighbouring frames weave well, which is what detectors go by.
    """
    rough = np.random.default_rng(1).integers(20, 230, (96, 24)).repeat(8, 1)
    for pixels in (rough, picture(0)):
        frames = [np.roll(pixels, lines * n, 0).astype(np.uint8) for n in range(2)]
        one, two = map(sample_of, frames)
        assert one is not None
        assert two is not None
        votes = field_phase(one, two)
        assert max(votes.top.sum(), votes.bottom.sum()) < 20


def test_frames_too_small_for_detection_are_skipped() -> None:
    assert sample_of(np.zeros((16, 64), np.uint8)) is None
    assert sample_of(np.zeros((64, 8), np.uint8)) is None


@pytest.mark.parametrize("size", [(96, 64), (128, 96), (160, 120), (176, 144), (320, 180), (320, 240)])
@pytest.mark.parametrize("frames", [10, 50])
def test_fine_patterns_of_small_frames_are_no_fields(
    tmp_path: Path, size: tuple[int, int], frames: int
) -> None:
    """Case 15: FFmpeg's test pattern, without loss, moves by as much as its squares are large."""
    graph = av.filter.Graph()
    nodes = [
        graph.add("testsrc2", f"size={size[0]}x{size[1]}:rate=25"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    nodes[0].link_to(nodes[1])
    nodes[1].link_to(nodes[2])
    graph.configure()
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(frames):
            output.mux(stream.encode(nodes[2].pull()))  # type: ignore[arg-type]
        output.mux(stream.encode(None))
    assert probe(tmp_path / "in.mkv").scan.order == "progressive"


def test_it_takes_many_blocks_all_over_the_picture_in_one_order() -> None:
    """Case 15."""
    assert judge([look(top=6, progressive=6)], "") == ScanType("top", "pictures")
    assert judge([look(top=6, bottom=6)], "") == ScanType(), "both orders: that is no field order"
    assert judge([look(top=6, bottom=2)], "") == ScanType(doubt="top")
    assert judge([look(top=2)], "") == ScanType(), "few blocks"
    assert judge([look(top=2), look(top=2)], "") == ScanType("top", "pictures"), "of two stretches"
    assert judge([look(top=2, progressive=8)], "") == ScanType(doubt="top"), "most of them are whole"
    corner = np.zeros((4, 4), int)
    corner[0, :2] = 60
    assert judge([look(top=corner)], "") == ScanType(doubt="top"), "two cells of sixteen"
    assert judge([look(top=corner, progressive=6 * (corner == 0))], "") == ScanType(doubt="top"), (
        "the rest of the picture is whole"
    )


def test_it_takes_more_against_a_flag() -> None:
    """Case 15."""
    bottom = {"bottom": 12}
    assert judge([look(top=20, bottom=1, flagged=bottom)], "") == ScanType("top", "pictures")
    assert judge([look(top=4, flagged=bottom)], "") == ScanType("bottom", "flags"), "few blocks"
    assert judge([look(top=20, bottom=4, flagged=bottom)], "") == ScanType("bottom", "flags"), (
        "not all of one order"
    )
    whole = ScanType("progressive", "pictures", doubt="bottom")
    assert judge([look(progressive=20, flagged=bottom)], "") == whole
    assert judge([look(progressive=20, flagged={"progressive": 10, "bottom": 2})], "") == whole
    assert judge([look(progressive=4, flagged=bottom)], "") == ScanType("bottom", "flags"), "few blocks"
    assert judge([look(progressive=20, bottom=2, flagged=bottom)], "") == ScanType("bottom", "flags"), (
        "some have fields of one order"
    )
    fields = look(top=20, flagged=bottom)
    assert judge(
        [look(progressive=99, flagged=bottom)] * 5 + [look(top=3, bottom=3, flagged=bottom)], ""
    ) == ScanType("bottom", "flags"), "one stretch"
    assert judge([fields, look(flagged=bottom)], "") == ScanType("top", "pictures")
    corner = np.zeros((4, 4), int)
    corner[0, :2] = 90
    assert judge([look(progressive=corner, flagged=bottom)], "") == ScanType("bottom", "flags"), (
        "two cells of sixteen"
    )


def pooled(
    phase: object, alike: object = 10_000.0, spread: float = 1e6, flag: str = "progressive"
) -> InterlaceSample:
    """Blocks that have no vote, and a phase together: of every cell, or as they lie in the picture."""
    weight = np.stack([np.zeros((4, 4)) + np.asarray(alike), np.zeros((4, 4))])
    return InterlaceSample(
        flagged=Counter({flag: 12}),
        apart=2 * np.asarray(phase) * weight,
        alike=weight,
        spread=np.diag([spread, 0.0])[..., None, None] + np.zeros((4, 4)),
    )


def test_all_blocks_together_must_be_far_from_chance_and_all_over_the_picture() -> None:
    """Case 15."""
    assert judge([pooled(0.4)], "") == ScanType("top", "pictures")
    assert judge([pooled(-0.4)], "") == ScanType("bottom", "pictures")
    assert judge([pooled(0.4), pooled(-0.4)], "") == ScanType(), "both orders"
    assert judge([pooled(0.22)], "") == ScanType(doubt="top"), "whole frames lean by so much"
    assert judge([pooled(0.4, spread=2e9)], "") == ScanType(), "chance"
    assert judge([pooled(0.4, alike=500.0, spread=0)], "") == ScanType(), "hardly anything"
    corner = np.zeros((4, 4))
    corner[0, :2] = 0.5
    assert judge([pooled(corner, alike=1 + 99_999.0 * (corner > 0))], "") == ScanType(), (
        "two cells of sixteen"
    )
    assert judge([pooled(0.4, spread=4e7)], "") == ScanType("top", "pictures")
    assert judge([pooled(0.4, spread=8e7)], "").order == "progressive"
    assert judge([pooled(0.4, spread=8e7, flag="bottom")], "") == ScanType("bottom", "flags")


def test_votes_and_the_phase_of_all_blocks_are_enough_together_where_neither_is_alone() -> None:
    """Case 15: coarse coding has left combs in one block of four."""
    votes = look(top=5, progressive=15)
    assert judge([votes], "") == ScanType(doubt="top")
    assert judge([pooled(0.2)], "") == ScanType(doubt="top")
    assert judge([votes + pooled(0.2)], "") == ScanType("top", "pictures")
    assert judge([votes + pooled(-0.2)], "").order == "progressive", "they contradict each other"
    assert judge([votes + pooled(0.1)], "").order == "progressive"
    assert judge([look(top=5, bottom=1, progressive=14) + pooled(0.2)], "").order == "progressive", (
        "both orders"
    )
    assert judge([look(top=2, progressive=6) + pooled(0.2)], "").order == "progressive", "few blocks"
    assert judge([look(top=3, progressive=17) + pooled(0.2)], "").order == "progressive", (
        "most of them are whole"
    )
    places = np.zeros((4, 4), int)
    places[2, :] = 60
    assert judge([look(top=places // 3, progressive=places) + pooled(0.2)], "").order == "progressive", (
        "four cells of sixteen"
    )
    assert judge([votes + pooled(0.2, spread=2e9)], "").order == "progressive", "chance"


def vertical(phase: float, alike: float = 1e6, spread: float = 1e9, cells: int = 16) -> InterlaceSample:
    """Vertical motion of that phase, in so many cells of the image."""
    weight = (np.arange(16) < cells).reshape(4, 4) * alike
    down = np.stack([2 * phase * weight, weight, np.full((4, 4), spread)])
    return InterlaceSample(flagged=Counter({"progressive": 12}), down=down)


def test_vertical_motion_alone_is_a_doubt() -> None:
    """Case 15: art with doubled lines that scrolls looks the same."""
    assert judge([vertical(0.4)], "") == ScanType(doubt="top")
    assert judge([vertical(-0.4)], "") == ScanType(doubt="bottom")
    assert judge([vertical(0.25)], "") == ScanType(), "bitmap letters that roll lean by so much"
    assert judge([vertical(0.4, spread=1e13)], "") == ScanType(), "chance"
    assert judge([vertical(0.4, alike=100.0, spread=0)], "") == ScanType(), "hardly anything"
    assert judge([vertical(0.4, cells=6)], "") == ScanType(), "a part of the picture"
    assert judge([vertical(0.4) + pooled(0.02, alike=1e6, spread=1e9)], "") == ScanType(), "the rest is whole"
    assert judge([vertical(0.4) + pooled(0.4, alike=1e6, spread=1e9)], "") == ScanType("top", "pictures")


def test_vertical_motion_of_whole_frames_outweighs_what_little_else_moves() -> None:
    """Case 15: letters that roll have a horizontal phase by chance, the surer the longer they do."""
    rolls = vertical(0.02)
    assert judge([pooled(0.4)], "") == ScanType("top", "pictures")
    assert judge([pooled(0.4) + rolls], "").order == "progressive"
    assert judge([look(top=6, progressive=6) + rolls], "").order == "progressive"
    assert judge([pooled(0.4, alike=1e6, spread=1e9) + rolls], "") == ScanType("top", "pictures"), (
        "as much moves to the side"
    )
    assert judge([pooled(0.4) + vertical(0.3)], "") == ScanType("top", "pictures"), "it agrees"
    telecine = look(top=4, progressive=12, kinds="tpppttpppttp") + rolls
    assert judge([replace(telecine, kinds="tpppttpppttp")], "") == ScanType("top", "pictures", "hard")


def test_part_of_the_picture_is_enough_where_votes_and_phase_agree_far_from_chance() -> None:
    """Case 15: text that crawls below a coarsely coded scene; coarsely coded zooms."""

    def shown(
        top: int = 30, bottom: int = 5, phase: float = 0.45, spread: float = 5e6, rows: int = 2
    ) -> ScanType:
        part = np.zeros((4, 4), int)
        part[-rows:] = 1
        votes = look(top=top * part, bottom=bottom * part, progressive=40)
        return judge([votes + pooled(phase * part, spread=spread)], "")

    assert shown() == ScanType("top", "pictures")
    assert shown(bottom=10).order == "progressive", "both orders"
    assert shown(phase=0.3).order == "progressive", "whole frames lean by so much"
    assert shown(spread=1e8).order == "progressive", "chance"
    assert shown(top=15, bottom=2).order == "progressive", "few votes"
    assert shown(top=80, phase=0.9, rows=1).order == "progressive", "four cells of sixteen"


def test_the_order_of_flagged_fields_takes_less_than_fields_without_a_flag() -> None:
    """Case 15: clips in which little moves, or is left of combs, flagged in the wrong order."""
    bottom, top, flags = {"bottom": 12}, ScanType("top", "pictures"), ScanType("bottom", "flags")
    votes = look(top=2, progressive=8, flagged=bottom)

    def phase(of: float, spread: float) -> InterlaceSample:
        return pooled(of, spread=spread, flag="bottom")

    assert judge([votes], "") == flags, "votes alone"
    assert judge([votes + phase(0.4, 1e8)], "") == top
    assert judge([votes + phase(0.4, 4e8)], "") == flags, "chance"
    assert judge([phase(0.4, 1e8)], "") == flags, "the phase alone, which may be chance"
    assert judge([phase(0.4, 5e7)], "") == top
    assert judge([phase(0.13, 1e6)], "") == flags, "whole frames lean by so much"
    more = np.arange(16).reshape(4, 4) % 2 + 2
    assert judge([look(top=2, bottom=more, flagged=bottom) + phase(0.4, 5e7)], "") == flags, (
        "more votes are for the flag"
    )
    part = np.zeros((4, 4))
    part[0] = 1.0
    assert judge([pooled(part, spread=1e7, flag="bottom")], "") == flags, "four cells of sixteen"


def test_steps_too_long_for_one_scale_are_read_at_the_other() -> None:
    """Case 15: text that runs by six columns a frame is nonsense to the fine scale, which then says so
    itself.
    """
    votes = [np.zeros((2, 4, 4), int) for _ in range(3)]
    votes[0][1], votes[2][0] = 8, 40
    alike = np.stack([np.full((4, 4), -20_000.0), np.full((4, 4), 10_000.0)])
    flagged = Counter({"progressive": 12})
    assert judge([InterlaceSample(*votes, flagged, apart=0.8 * alike, alike=alike)], "") == ScanType(
        "top", "pictures"
    )
    assert (
        judge([InterlaceSample(*votes, flagged, apart=0.0 * alike, alike=np.abs(alike))], "").order
        == "progressive"
    )


def test_a_fade_is_no_scan_lines() -> None:
    """Case 15: the later field of a fading picture is darker, as one is between scan lines."""
    frames = [
        woven(picture(3 * n) * (1 - 0.1 * n), picture(3 * n + 1.5) * (0.95 - 0.1 * n)) for n in range(2)
    ]
    lines = [woven(picture(3 * n), picture(3 * n + 1.5) * 0.95) for n in range(2)]
    for made, kind in ((frames, "t"), (lines, "u")):
        one, two = map(sample_of, made)
        assert one is not None
        assert two is not None
        assert field_phase(one, two).kind == kind


@pytest.mark.parametrize(("later", "order"), [(0.0, "progressive"), (1.5, "top"), (-1.5, "bottom")])
def test_faint_motion_tells_it_over_many_blocks(later: float, order: str) -> None:
    """Case 15: by a code or two, under noise: no block would be believed alone."""
    rng = np.random.default_rng(3)
    shown = InterlaceSample(flagged=Counter({"progressive": 24}))
    before = None
    for number in range(24):
        top, bottom = (
            120 + (picture(3 * number + shift) - 128) / 16 + rng.normal(0, 0.5, (96, 192))
            for shift in (0, later)
        )
        now = sample_of(woven(top, bottom))
        assert now is not None
        if before is not None:
            shown.note(field_phase(before, now))
        before = now
    assert shown.moving.sum() < 10
    assert judge([shown], "") == (ScanType() if order == "progressive" else ScanType(order, "pictures"))


def test_a_flag_is_believed_where_all_blocks_together_lean_to_fields() -> None:
    """Case 15: coding smooths combs away in many blocks, which then vote for whole frames."""
    whole = look(progressive=20, flagged={"bottom": 12})
    assert judge([whole + pooled(0.05, flag="bottom")], "") == ScanType(
        "progressive", "pictures", doubt="bottom"
    )
    assert judge([whole + pooled(-0.2, flag="bottom")], "") == ScanType("bottom", "flags")


def test_whole_frames_without_a_vote_are_known_by_the_phase_of_all_blocks() -> None:
    """Case 15: noise and slow zooms, flagged as interlaced."""
    progressive = ScanType("progressive", "pictures", doubt="bottom")
    assert judge([pooled(0.02, flag="bottom")], "") == progressive
    assert (
        judge(
            [pooled(0.02, flag="bottom") + look(top=20, bottom=21, progressive=40, flagged={"bottom": 12})],
            "",
        )
        == progressive
    )
    assert judge([pooled(0.1, spread=5e6, flag="bottom")], "") == progressive, "far from that of fields"
    few = np.zeros((4, 4), int)
    few[0, :3] = 1
    chance = look(top=2 * few, bottom=few, progressive=few, flagged={"bottom": 12})
    assert judge([pooled(0.02, flag="bottom") + chance], "") == progressive, "six votes to three"
    assert judge([pooled(0.02, flag="bottom") + look(top=4 * few, flagged={"bottom": 12})], "") == ScanType(
        "bottom", "flags"
    ), "twelve to none"
    flags = ScanType("bottom", "flags")
    assert judge([pooled(0.1, spread=3e7, flag="bottom")], "") == flags, "it may be that of fields"
    assert judge([pooled(-0.15, flag="bottom")], "") == flags
    assert judge([pooled(0.02, flag="bottom", spread=1e9)], "") == flags, "it may as well be more"
    assert judge([pooled(0.02, flag="bottom", alike=500.0)], "") == flags, "hardly anything"
    assert (
        judge([pooled(0.02, flag="bottom") + look(bottom=20, progressive=40, flagged={"bottom": 12})], "")
        == flags
    ), "votes of one order"
    half = np.full((4, 4), 0.3)
    half[:2] = -0.3
    assert judge([pooled(half, flag="bottom")], "") == flags, "no cell is whole"


def test_one_flagged_stretch_is_enough_where_pictures_say_nothing() -> None:
    assert judge([look(), look(flagged={"progressive": 10, "bottom": 2}), look()], "") == ScanType(
        "bottom", "flags"
    )


def test_the_stream_s_own_order_counts_where_frames_say_nothing() -> None:
    assert judge([], "bottom") == ScanType("bottom", "flags")
    assert judge([], "bottom", soft=True) == ScanType(pulldown="soft")


@pytest.mark.parametrize("half", [0, 1])
def test_a_part_of_the_corpus_is_judged_right(half: int) -> None:
    """Case 15: no progressive clip is taken for interlaced, and interlaced ones are found with their
    order.
    """
    clips = [c for c in corpus(20, 20, with_real=False) if c.number % 2 == half]
    found = {c.name: verdict(c) for c in clips}
    assert {
        c.name: found[c.name]
        for c in clips
        if c.order == "progressive" and found[c.name].strip("?") != "progressive"
    } == {}
    assert {
        c.name: found[c.name] for c in clips if c.order != "progressive" and found[c.name] != c.order
    } == {}


def test_frames_that_show_nothing_do_not_hide_the_rhythm_of_telecine() -> None:
    """Case 97."""
    for kinds in ("ttppptupppt", "pupttpppttp", "uppttppptt", "bbpppbbpppb"):
        assert interlacing._is_hard_telecine(kinds), kinds
    for kinds in (
        "ttppptpppppt",
        "ptptptptptpt",
        "tttttttttttt",
        "pppppppppppp",
        "ttppp",
        "ttupttupptt",
    ):
        assert not interlacing._is_hard_telecine(kinds), kinds


def test_hard_telecine_is_known_by_its_rhythm(tmp_path: Path) -> None:
    assert probe(media.telecined(tmp_path / "in.mp4")).scan == ScanType("top", "pictures", "hard")


def test_soft_telecine_is_known_by_its_times_and_stays_whole(tmp_path: Path) -> None:
    info = probe(media.soft_telecined(tmp_path / "in.ts"))
    assert info.scan == ScanType(pulldown="soft")


def test_times_that_are_not_two_and_three_in_turn_are_no_telecine() -> None:
    assert not interlacing._is_soft_telecine(array("q", range(0, 30 * 40, 40)))
    assert not interlacing._is_soft_telecine(array("q", [0, 2, 5, 7]))
    assert interlacing._is_soft_telecine(
        array("q", [33 * 5 * n // 2 if n % 2 == 0 else 33 * (5 * (n // 2) + 2) for n in range(20)])
    )


@pytest.mark.parametrize("kind", ["clock jumps", "known by order"])
def test_fields_behind_many_whole_frames_are_found_where_nothing_can_be_sought(
    tmp_path: Path, kind: str
) -> None:
    """Case 15: more than the 72 frames that were looked at, unflagged."""
    suffix, codec = ("ts", "mpeg2video") if kind == "clock jumps" else ("avi", "mpeg4")
    traits = {"codec": codec, "size": (160, 256), "rate": Fraction(25), "gop": 12, "b_frames": 0}
    whole = media.write(tmp_path / f"a.{suffix}", media.Film(frames=90, **traits))  # type: ignore[arg-type]
    woven = media.fields(tmp_path / f"b.{suffix}", frames=150, flagged=False, **traits)
    both = tmp_path / f"in.{suffix}"
    both.write_bytes(whole.read_bytes() + woven.read_bytes())
    info = probe(both)
    assert info.epochs if kind == "clock jumps" else info.linear
    assert info.frame_count == 240
    assert probe(whole).scan.order == "progressive"
    assert info.scan == ScanType("top", "pictures")
