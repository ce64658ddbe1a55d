"""Deinterlacing in the job: frames equal those of one graph over the whole film, however work is divided.

Case 15.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import MediaError, UsageError, VerificationError
from pipelines.codec import filter_graph
from pipelines.codec.field_weaving import field_alone
from pipelines.media.video_info import Frame
from pipelines.plan.events import Note
from pipelines.plan.plan import Deinterlacing
from pipelines.probe.probe import probe
from pipelines.settings.run_settings import RunSettings
from tests import media
from tests.helpers.combs import comb_share
from tests.helpers.inline import finished_of, planned_of, upscaled
from tests.helpers.sameness import assert_same_times
from tests.helpers.view import decoded, frames, planes

pytestmark = pytest.mark.usefixtures("inline")


def one_graph(source: Path, order: str, *, bob: bool) -> list[str]:
    """Hashes of the film's frames after one run of bwdif over all of it."""
    graph = av.filter.Graph()
    film = decoded(source)
    node = first = graph.add_buffer(
        width=film[0].width, height=film[0].height, format=film[0].format, time_base=Fraction(1, 25)
    )
    for name, options in (
        ("bwdif", f"mode={'send_field' if bob else 'send_frame'}:parity={order}:deint=all"),
        ("buffersink", None),
    ):
        following = graph.add(name, options)
        node.link_to(following)
        node = following
    graph.configure()
    made = []
    for number, frame in enumerate([*film, None]):
        if frame is not None:
            frame.pts, frame.time_base = number, Fraction(1, 25)
        first.push(frame)
        while True:
            try:
                made.append(node.pull())
            except (av.error.BlockingIOError, av.error.EOFError):
                break
    return [hashlib.sha256(b"".join(p.tobytes() for p in planes(f))).hexdigest() for f in made]


@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize("flagged", [True, False])
def test_any_cut_gives_the_frames_of_one_graph_over_the_film(
    tmp_path: Path, first: str, flagged: bool
) -> None:
    """Case 15."""
    source = media.fields(tmp_path / "in.mp4", first, frames=30, flagged=flagged)
    for bob in (False, True):
        expected = one_graph(source, f"{first[0]}ff", bob=bob)
        for name, seconds in (("many", 0.2), ("one", 1e6)):
            output = tmp_path / f"{name}{bob}.mkv"
            events = upscaled(source, output, chunk_seconds=seconds, deinterlace="bob" if bob else "auto")
            assert not [e for e in events if isinstance(e, Note)]
            plan = planned_of(events).plan
            assert (len(plan.chunks) > 3) == (name == "many")
            assert [f.digest for f in frames(output)] == expected
            assert plan.frame_count == len(expected) == finished_of(events).frames == 30 * (1 + bob)


def test_a_part_has_the_frames_of_the_whole(tmp_path: Path) -> None:
    """The frames beside a part are looked at, though they are not in it."""
    source = media.fields(tmp_path / "in.mp4", frames=30)
    upscaled(source, tmp_path / "part.mkv", range="0.36-0.8", chunk_seconds=0.2)
    assert [f.digest for f in frames(tmp_path / "part.mkv")] == one_graph(source, "tff", bob=False)[9:20]


def test_frames_known_by_their_order_only_are_deinterlaced_alike(tmp_path: Path) -> None:
    """Case 14: field packets, counted by decoding.

    Many chunks of one decoder run, some of them done before.
    """
    source = media.paff(tmp_path / "in.ts")
    assert probe(source).linear
    expected = one_graph(source, "tff", bob=False)
    for name, seconds in (("many", 0.2), ("one", 1e6)):
        upscaled(source, tmp_path / f"{name}.mkv", chunk_seconds=seconds)
        assert [f.digest for f in frames(tmp_path / f"{name}.mkv")] == expected


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_bob_shows_every_field_at_its_own_time(tmp_path: Path, suffix: str) -> None:
    """Case 15."""
    pts = (0, 3600, 7200, 10800, 14400, 900000, 903600, 907200)
    source = media.fields(tmp_path / "in.mp4", frames=8, pts=pts, time_base=Fraction(1, 90000), b_frames=0)
    output = tmp_path / f"out{suffix}"
    events = upscaled(
        source, output, deinterlace="bob", codec="h264", crf=18.0, preset="ultrafast", chunk_seconds=0.1
    )
    assert planned_of(events).plan.time_base == Fraction(1, 180000)
    assert planned_of(events).plan.rate == 50 or planned_of(events).plan.rate == 2 * probe(source).rate
    wanted = sorted(
        Fraction(p + half, 90000) for p in pts for half in (0, 1800)
    )  # no field in the middle of the hole
    assert_same_times([f.seconds for f in frames(output)], wanted, matroska=suffix == ".mkv")


def test_results_are_not_combed_and_sources_are(tmp_path: Path) -> None:
    """Case 15."""
    source = media.fields(tmp_path / "in.mp4", frames=12)
    assert min(comb_share(planes(f)[0]) for f in decoded(source)) > 0.03
    for mode in ("auto", "bob"):
        upscaled(source, tmp_path / f"{mode}.mkv", deinterlace=mode)
        assert max(comb_share(planes(f)[0]) for f in decoded(tmp_path / f"{mode}.mkv")) < 0.005
    upscaled(source, tmp_path / "off.mkv", deinterlace="off")
    assert [f.digest for f in frames(tmp_path / "off.mkv")] == [f.digest for f in frames(source)]


def test_a_given_field_order_reaches_the_frames(tmp_path: Path) -> None:
    source = media.fields(tmp_path / "in.mp4", frames=12)
    made = {}
    for order in ("auto", "tff", "bff", "progressive"):
        upscaled(source, tmp_path / f"{order}.mkv", field_order=order, deinterlace="auto")
        made[order] = [f.digest for f in frames(tmp_path / f"{order}.mkv")]
    assert made["auto"] == made["tff"] != made["bff"]
    assert made["progressive"] == [f.digest for f in frames(source)]


def test_what_was_found_and_done_is_said(tmp_path: Path) -> None:
    """Case 15."""
    source = media.fields(tmp_path / "in.mp4", flagged=False)
    said = {}
    for mode in ("auto", "bob", "off"):
        said[mode] = " ".join(
            planned_of(upscaled(source, tmp_path / f"{mode}.mkv", deinterlace=mode)).info.notes
        )
        assert "top field first by its pictures" in said[mode]
    assert "frame rate" in said["auto"]
    assert "field rate" in said["bob"]
    assert "as they are" in said["off"]
    with pytest.raises(
        MediaError, match=r"in\.mp4: is interlaced, top field first by its pictures; --deinterlace auto"
    ):
        upscaled(source, tmp_path / "refused.mkv", deinterlace="refuse")
    assert not (tmp_path / "refused.mkv").exists()


def test_a_doubt_is_said_with_what_to_type_and_not_acted_upon(tmp_path: Path) -> None:
    """Case 15: progressive film that is flagged as interlaced keeps its frames."""
    source = media.cfr(
        tmp_path / "in.mp4", size=(128, 96), options={"flags": "+ildct+ilme"}, field_flags="bff"
    )
    said, plans = {}, {}
    for mode in ("auto", "on", "bob", "off"):
        planned = planned_of(upscaled(source, tmp_path / f"{mode}.mkv", deinterlace=mode))
        said[mode], plans[mode] = " ".join(planned.info.notes), planned.plan.deinterlacing
    assert plans == {
        "auto": None,
        "on": Deinterlacing("bottom", bob=False),
        "bob": Deinterlacing("bottom", bob=True),
        "off": None,
    }
    assert "flagged as interlaced, bottom field first, but its pictures are whole" in said["auto"]
    assert "--deinterlace on" in said["auto"]
    assert "as asked for, bottom field first" in said["on"]
    assert [f.digest for f in frames(tmp_path / "auto.mkv")] == [f.digest for f in frames(source)]


def test_hard_telecine_is_said_and_made_whole(tmp_path: Path) -> None:
    source = media.telecined(tmp_path / "in.mp4")
    events = upscaled(source, tmp_path / "out.mkv")
    assert any(
        "hard-telecined" in note and "inverse telecine" in note for note in planned_of(events).info.notes
    )
    assert max(comb_share(planes(f)[0]) for f in decoded(tmp_path / "out.mkv")) < 0.002


def test_progressive_and_soft_telecined_films_pass_untouched(tmp_path: Path) -> None:
    for source in (media.cfr(tmp_path / "p.mp4", size=(128, 96)), media.soft_telecined(tmp_path / "s.ts")):
        output = tmp_path / f"{source.stem}.mkv"
        events = upscaled(source, output, deinterlace="refuse")
        assert planned_of(events).plan.deinterlacing is None
        assert [f.digest for f in frames(output)] == [f.digest for f in frames(source)]
    events = upscaled(source, tmp_path / "bob.mkv", deinterlace="bob")
    assert any("nothing to do" in note for note in planned_of(events).info.notes)


def test_a_cut_between_two_fields_does_not_look_like_a_swapped_frame(tmp_path: Path) -> None:
    """The two fields of one frame show different scenes; each result is compared with its own field."""
    woven = tuple(
        (7 if n > 7 else 0, 7 if n >= 7 else 0) for n in range(16)
    )  # frame 7: its bottom field shows the new scene
    source = media.fields(tmp_path / "in.mp4", frames=16, woven=woven, gop=1)
    for mode in ("auto", "bob"):
        upscaled(source, tmp_path / f"{mode}.mkv", deinterlace=mode)


def test_fine_lines_that_stand_still_do_not_look_like_swapped_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two fields of one moment differ by what only one of them has; the result has both."""

    def slides(number: int, width: int, height: int, pix_fmt: str) -> list[np.ndarray]:
        random = np.random.default_rng(number // 8)
        rough = random.integers(20, 230, (height, width // 8)).repeat(8, 1).astype(np.uint8)
        return [rough, *[np.full((height // 2, width // 2), 100 + 30 * (number // 8 % 2), np.uint8)] * 2]

    monkeypatch.setattr(media, "planes_of", slides)
    for height in (96, 288, 480):
        source = media.fields(tmp_path / f"{height}.mp4", frames=8, size=(128, height))
        for mode in ("auto", "bob"):
            upscaled(source, tmp_path / f"{height}{mode}.mkv", deinterlace=mode)


def test_a_field_alone_is_a_picture_of_its_lines() -> None:
    plane = np.array([[0], [10], [20], [30], [40]], np.uint8)
    assert field_alone(plane, 0)[:, 0].tolist() == [0, 10, 20, 30, 40]
    assert field_alone(plane, 1)[:, 0].tolist() == [10, 10, 20, 30, 30]
    plane[1::2] = 200
    assert field_alone(plane[:4], 0)[:, 0].tolist() == [0, 10, 20, 20]
    assert field_alone(plane[:4], 1)[:, 0].tolist() == [200, 200, 200, 200]


def test_a_graph_that_swaps_two_frames_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = media.fields(tmp_path / "in.mp4", frames=16, gop=1, options={"crf": "1", "flags": "+ildct+ilme"})
    honest = filter_graph._Graph._pull

    def swapped(self: filter_graph._Graph) -> list[av.VideoFrame]:
        held = [*getattr(self, "held", []), *honest(self)]
        self.held = (
            held
            if len(held) == 1 and not getattr(self, "done", False) and len(getattr(self, "seen", [])) == 5
            else []
        )  # type: ignore[attr-defined]
        if self.held:  # type: ignore[attr-defined]
            self.done = True  # type: ignore[attr-defined]
            return []
        self.seen = [*getattr(self, "seen", []), *held]  # type: ignore[attr-defined]
        return held[::-1]

    monkeypatch.setattr(filter_graph._Graph, "_pull", swapped)
    with pytest.raises(VerificationError, match="neighbour"):
        upscaled(source, tmp_path / "out.mkv")


def test_a_graph_that_loses_or_doubles_frames_is_found_out(tmp_path: Path) -> None:
    plan = planned_of(upscaled(media.fields(tmp_path / "in.mp4"), tmp_path / "out.mkv")).plan
    grey = [np.full((h, w), 128, np.uint8) for h, w in ((96, 128), (48, 64), (48, 64))]
    sources = [Frame(n, grey) for n in range(6)]
    twice = replace(plan, deinterlacing=Deinterlacing("top", bob=True))
    assert [
        f.pts for f in filter_graph.filtered(sources, twice, first=0, before=1, shown=range(100, 108))
    ] == list(range(100, 108))
    assert [
        bool(f.origin) for f in filter_graph.filtered(sources, plan, first=0, before=0, shown=range(6))
    ] == [True] * 6
    original = filter_graph.chain
    try:
        filter_graph.chain = lambda _: ("select=not(eq(n\\,3))",)  # type: ignore[assignment]
        with pytest.raises(VerificationError, match="left over"):
            list(filter_graph.filtered(sources, plan, first=0, before=0, shown=range(6)))
        filter_graph.chain = lambda _: ("bwdif=mode=send_field",)  # type: ignore[assignment]
        with pytest.raises(VerificationError, match="more pictures"):
            list(filter_graph.filtered(sources, plan, first=0, before=0, shown=range(6)))
    finally:
        filter_graph.chain = original


def test_formats_the_filter_would_convert_are_refused_beforehand(tmp_path: Path) -> None:
    """FFmpeg would turn 10-bit grey into RGB in front of bwdif, without a word."""
    source = media.fields(tmp_path / "in.mkv", codec="ffv1", pix_fmt="gray10le", flagged=False)
    assert probe(source).interlaced
    with pytest.raises(MediaError, match=r"gray10le can't go through bwdif; --deinterlace off"):
        upscaled(source, tmp_path / "out.mkv")
    upscaled(source, tmp_path / "off.mkv", deinterlace="off")


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(UsageError, match="--deinterlace weave: expected auto, on, bob, ivtc, off or refuse"):
        RunSettings(deinterlace="weave")  # type: ignore[arg-type]
