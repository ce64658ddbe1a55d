"""What is stored during a run, and which of it a later run trusts. Cases 42 to 44, 46."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from models.errors import Interrupted, OutputError, UsageError
from pipelines.codec.encoder import EncodedChunk
from pipelines.output.journal import Journal, work_folder
from pipelines.plan.events import AlreadyDone, ChunkFinished, Event, Note, Planned
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.inline import H264, QUICK, planned_of, upscaled
from tests.helpers.view import view
from vsr.api import run_settings

PLAN = {"format": 1, "source_fingerprint": "a", "encoder": {"crf": 18}}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / ".out.vsr-work")
    yield made
    made.close()


def chunk(index: int) -> EncodedChunk:
    data = hashlib.sha256(bytes([index])).digest() * 40
    return EncodedChunk(
        index, data, (index * 10, index * 10 + 2, index * 10 + 1), "header", bytes(range(30)), corrupt=index
    )


def test_what_was_committed_is_there_for_the_same_plan(journal: Journal) -> None:
    journal.adopt("p", PLAN)
    for index in range(3):
        journal.commit("p", chunk(index))
    found, changed = journal.adopt("p", PLAN)
    assert changed == []
    assert [(r.index, tuple(r.pts), r.sha256, r.header_sha256, r.thumbnails, r.corrupt) for r in found] == [
        (n, chunk(n).pts, chunk(n).sha256, "header", bytes(range(30)), n) for n in range(3)
    ]
    assert [r.path.read_bytes() for r in found] == [chunk(n).data for n in range(3)]


@pytest.mark.parametrize("how", ["truncate", "flip", "remove", "symlink"])
def test_a_chunk_that_is_not_what_its_manifest_says_is_made_again(
    journal: Journal, tmp_path: Path, how: str
) -> None:
    """Case 43."""
    journal.adopt("p", PLAN)
    records = [journal.commit("p", chunk(index)) for index in range(3)]
    victim = records[1].path
    content = victim.read_bytes()
    if how == "truncate":
        victim.write_bytes(content[:-1])
    elif how == "flip":
        victim.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    else:
        victim.unlink()
    if how == "symlink":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_bytes(content)
        victim.symlink_to(elsewhere)
    found, _ = journal.adopt("p", PLAN)
    assert [r.index for r in found] == [0, 2]
    assert not victim.exists()


@pytest.mark.parametrize("half", [0, 1, 20, -5])
def test_a_torn_chunk_manifest_is_ignored(journal: Journal, half: int) -> None:
    """Case 44."""
    journal.adopt("p", PLAN)
    records = [journal.commit("p", chunk(index)) for index in range(2)]
    manifest = records[0].path.with_suffix(".json")
    manifest.write_bytes(manifest.read_bytes()[:half])
    assert [r.index for r in journal.adopt("p", PLAN)[0]] == [1]


@pytest.mark.parametrize(
    "nonsense",
    [
        "[]",
        "null",
        '{"plan": "p"}',
        '{"plan": "p", "index": 0, "bytes": "x", "sha256": 1, "header_sha256": "", "pts": 3, "thumbnails": "", "corrupt": 0}',
    ],
)
def test_a_manifest_of_nonsense_is_ignored(journal: Journal, nonsense: str) -> None:
    """Case 44."""
    journal.adopt("p", PLAN)
    record = journal.commit("p", chunk(0))
    record.path.with_suffix(".json").write_text(nonsense)
    assert journal.adopt("p", PLAN)[0] == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "p"'])
def test_a_torn_plan_costs_no_chunk(journal: Journal, text: str) -> None:
    """Case 44."""
    journal.adopt("p", PLAN)
    journal.commit("p", chunk(0))
    (journal.folder / "plan.json").write_text(text)
    for _ in range(2):
        assert [r.index for r in journal.adopt("p", PLAN)[0]] == [0], "a chunk says itself what plan it is of"
        assert json.loads((journal.folder / "plan.json").read_text())["id"] == "p"
    (journal.folder / "plan.json").write_text(text)
    with pytest.raises(
        UsageError,
        match=r"1 chunks of an earlier run are kept.*what they are of can not be read any more.*--fresh",
    ):
        journal.adopt("q", PLAN)
    assert (journal.folder / "000000.chunk").read_bytes() == chunk(0).data


def test_the_chunks_of_another_plan_are_not_mixed_in(journal: Journal) -> None:
    """Case 42."""
    journal.adopt("p", PLAN)
    journal.commit("p", chunk(0))
    other = {**PLAN, "source_fingerprint": "b", "encoder": {"crf": 20}}
    with pytest.raises(
        UsageError,
        match="with this command they would get other bits: the input's content, the encoder's settings; go on",
    ):
        journal.adopt("q", other)
    assert [r.index for r in journal.adopt("p", PLAN)[0]] == [0], "nor are they deleted"
    assert journal.adopt("q", other, supersede=True) == (
        [],
        ["the input's content", "the encoder's settings"],
    )
    assert not list(journal.folder.glob("*.chunk"))


def test_without_chunks_a_directory_becomes_another_plan_s(journal: Journal) -> None:
    """Case 42."""
    journal.adopt("p", PLAN)
    journal.adopt_numerics({"torch": "2.15"})
    assert journal.adopt("q", {**PLAN, "source_fingerprint": "b"}) == ([], ["the input's content"])
    assert journal.adopt_numerics({"torch": "2.16"}) == ([], [])


def test_other_numerics_are_reported(journal: Journal) -> None:
    journal.adopt("p", PLAN)
    assert journal.adopt_numerics({"torch": "2.15", "device": "cpu"}) == ([], [])
    assert journal.adopt_numerics({"torch": "2.15", "device": "cpu"}) == ([], [])
    assert journal.adopt_numerics({"torch": "2.16", "device": "cpu"}) == (
        ["torch: 2.15 before, 2.16 now"],
        [],
    )
    assert journal.adopt_numerics({"device": "cpu"}) == (["torch: 2.15 before, none now"], [])


def test_numerics_that_a_former_version_did_not_note_are_assumed_once_and_then_held(journal: Journal) -> None:
    """Case 42."""
    now = {"torch": "2.15", "device": "cpu", "av": "18.1.0"}
    journal.adopt("p", PLAN)
    journal.commit("p", chunk(0))
    (journal.folder / "numerics.json").write_text(json.dumps({"torch": "2.15", "device": "cpu"}))
    assert journal.adopt_numerics({**now, "torch": "2.16"}) == (["torch: 2.15 before, 2.16 now"], [])
    assert journal.adopt_numerics(now) == ([], ["av"])
    assert journal.adopt_numerics(now) == ([], [])
    assert journal.adopt_numerics({**now, "av": "18.2.0"}) == (["av: 18.1.0 before, 18.2.0 now"], [])


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_where_no_numerics_are_noted_all_of_them_are_assumed(journal: Journal, text: str | None) -> None:
    """Case 44."""
    journal.adopt("p", PLAN)
    journal.commit("p", chunk(0))
    if text is not None:
        (journal.folder / "numerics.json").write_text(text)
    assert journal.adopt_numerics({"torch": "2.15", "device": "cpu"}) == ([], ["device", "torch"])
    assert journal.adopt_numerics({"torch": "2.16", "device": "cpu"}) == (
        ["torch: 2.15 before, 2.16 now"],
        [],
    )


def test_a_second_writer_is_refused(journal: Journal) -> None:
    """Case 46."""
    with pytest.raises(UsageError, match="another run is writing this output"):
        Journal(journal.folder)


def test_a_disk_without_locks_is_not_taken_for_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 46."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("pipelines.storage.file_lock._fcntl.flock", refuse)
    with pytest.raises(OutputError, match=r"work: can't be locked: No locks available; .*-o"):
        Journal(tmp_path / "work")
    assert set(os.listdir("/proc/self/fd")) == before


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    """Case 46."""
    Journal(tmp_path / "work").close()
    Journal(tmp_path / "work").remove()
    assert not (tmp_path / "work").exists()


def test_a_work_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Case 74."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "work").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError, match="symbolic link"):
        Journal(tmp_path / "work")
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_work_directory_is_nobody_else_s_to_read(journal: Journal) -> None:
    """Case 74."""
    assert journal.folder.stat().st_mode & 0o777 == 0o700


def test_the_name_of_a_work_directory_fits_into_a_folder(tmp_path: Path) -> None:
    folder = work_folder(tmp_path / ("ü" * 120 + ".mkv"))
    folder.mkdir()
    assert folder.parent == tmp_path


# --- through the job


def interrupted(source: Path, output: Path, after: int, **settings: object) -> list[Event]:
    """The events of a run that is stopped after so many chunks."""
    stop, events = threading.Event(), []
    with pytest.raises(Interrupted):
        for event in upscale_video(source, output, run_settings(**{**QUICK, **settings}), stop=stop):
            events.append(event)
            if sum(isinstance(e, ChunkFinished) for e in events) >= after:
                stop.set()
    return events


def chunks_made(events: list[Event]) -> list[int]:
    return [e.index for e in events if isinstance(e, ChunkFinished)]


@pytest.fixture
def film(tmp_path: Path, inline: None) -> Path:
    return media.cfr(tmp_path / "in.mp4", frames=40, rate=Fraction(25))


CHUNKS = {"chunk_seconds": 0.3}


@pytest.mark.parametrize("codec", ["h264", "hevc", "ffv1"])
def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(film: Path, tmp_path: Path, codec: str) -> None:
    settings = {**(H264 if codec != "ffv1" else QUICK), "codec": codec, **CHUNKS}
    whole, output = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    everything = chunks_made(upscaled(film, whole, **settings))
    first = interrupted(film, output, 2, **settings)
    assert not output.exists()
    again = upscaled(film, output, **settings)
    assert planned_of(again).chunks_done == len(chunks_made(first)) == 2
    assert sorted([*chunks_made(first), *chunks_made(again)]) == everything
    assert view(output).film.payloads == view(whole).film.payloads
    assert view(output).film.pts == view(whole).film.pts


@pytest.mark.parametrize("harm", ["flip", "truncate", "manifest", "plan"])
def test_harm_done_to_kept_work_costs_time_only(film: Path, tmp_path: Path, harm: str) -> None:
    """Cases 43 and 44."""
    output = tmp_path / "out.mkv"
    interrupted(film, output, 2, **CHUNKS)
    work = work_folder(output)
    (victim, *_) = sorted(work.glob("*.chunk"))
    data = victim.read_bytes()
    if harm == "flip":
        victim.write_bytes(data[:-40] + bytes([data[-40] ^ 4]) + data[-39:])
    elif harm == "truncate":
        victim.write_bytes(data[: len(data) // 2])
    else:
        torn = work / "plan.json" if harm == "plan" else victim.with_suffix(".json")
        torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    events = upscaled(film, output, **CHUNKS)
    assert planned_of(events).chunks_done == (2 if harm == "plan" else 1)
    whole = tmp_path / "whole.mkv"
    upscaled(film, whole, **CHUNKS)
    assert view(output).film.payloads == view(whole).film.payloads


def test_a_chunk_changed_while_the_run_goes_on_never_reaches_the_result(film: Path, tmp_path: Path) -> None:
    """Case 43."""
    from models.errors import VerificationError

    output = tmp_path / "out.mkv"
    with pytest.raises(VerificationError, match="changed on the disk"):
        for event in upscale_video(film, output, run_settings(**{**QUICK, **CHUNKS})):
            if isinstance(event, ChunkFinished) and event.index == 0:
                path = next(work_folder(output).glob("000000.chunk"))
                data = path.read_bytes()
                path.write_bytes(data[:-40] + bytes([data[-40] ^ 4]) + data[-39:])
    assert not output.exists()
    upscaled(film, output, **CHUNKS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 2, "model": "nearest"}, "the model (identity before, nearest now)"),
        ({"scale": 2, "model": "identity,nearest"}, "the model (identity before, identity+nearest now)"),
        ({"chunk_seconds": 0.5}, "how the video is cut"),
        ({"encoder_options": {"slices": "4"}}, "--encoder-option slices (16 before, 4 now)"),
        ({"codec": "h264"}, "--codec (ffv1 before, h264 now)"),
        ({"pixel_format": "yuv444p"}, "--pixel-format (yuv420p before, yuv444p now)"),
        ({"range": "0-1"}, "--range"),
        ("input", "the input's content"),
    ],
)
def test_a_change_is_named_and_costs_nothing(
    film: Path, tmp_path: Path, change: dict[str, object] | str, words: str
) -> None:
    """Case 42."""
    output = tmp_path / "out.mkv"
    interrupted(film, output, 2, **CHUNKS)
    more: dict[str, object] = change if isinstance(change, dict) else {}
    if change == "input":
        content = bytearray(film.read_bytes())
        at = content.index(b"Lavf")
        content[at + 5] ^= 1
        film.write_bytes(content)
    before = held(work_folder(output))
    with pytest.raises(
        UsageError,
        match=r"2 of \d chunks of an earlier run are kept.*choose another -o, or throw them away with --fresh",
    ) as error:
        upscaled(film, output, overwrite=True, **{**CHUNKS, **more})
    assert words in str(error.value)
    assert held(work_folder(output)) == before
    assert planned_of(upscaled(film, output, fresh=True, **{**CHUNKS, **more})).chunks_done == 0


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def misdated(tmp_path: Path, inline: None) -> Path:
    """Its packets promise other frames than come, which shows in the third chunk.

    Then all are counted by decoding.
    """
    return media.misdated(tmp_path / "in.mp4")


def test_a_run_whose_frames_had_to_be_counted_goes_on_with_its_chunks(misdated: Path, tmp_path: Path) -> None:
    whole, output = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    upscaled(misdated, whole, **CHUNKS)
    first = interrupted(misdated, output, 4, **CHUNKS)  # two before the frames were counted, two behind that
    assert [e.plan.linear for e in first if isinstance(e, Planned)] == [False, True]
    again = upscaled(misdated, output, **CHUNKS)
    assert [e.text for e in again if isinstance(e, Note)] == [
        "continues with frames counted by decoding, as before: 40"
    ]
    assert [(e.plan.id, e.chunks_done) for e in again if isinstance(e, Planned)] == [
        (planned_of(first).plan.id, 2)
    ]
    assert view(output).film.payloads == view(whole).film.payloads
    assert view(output).film.pts == view(whole).film.pts


def test_the_same_command_knows_its_result_whose_frames_had_to_be_counted(
    misdated: Path, tmp_path: Path
) -> None:
    """Case 45: and does not count them again to find out."""
    output = tmp_path / "out.mkv"
    upscaled(misdated, output, **CHUNKS)
    assert [type(e) for e in upscaled(misdated, output, **CHUNKS)] == [AlreadyDone]
    with pytest.raises(UsageError, match="was made with other settings"):
        upscaled(misdated, output, chunk_seconds=0.5)


def test_nothing_but_the_command_is_said_to_have_changed_since_frames_had_to_be_counted(
    misdated: Path, tmp_path: Path
) -> None:
    """Case 42."""
    output = tmp_path / "out.mkv"
    events = interrupted(misdated, output, 3, **CHUNKS)
    assert [e.changed for e in events if isinstance(e, Planned)] == [(), ()]
    with pytest.raises(UsageError, match=r"other bits: ([^;]*);") as error:
        upscaled(misdated, output, encoder_options={"slices": "4"}, **CHUNKS)
    for word in (
        "--encoder-option slices (16 before, 4 now)",
        "whether frames are counted by decoding",
        "how the video is cut (--chunk-seconds, --range)",
    ):
        assert word in str(error.value)
    assert "the input" not in str(error.value)


def test_fresh_throws_earlier_work_away(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    interrupted(film, output, 2, **CHUNKS)
    assert planned_of(upscaled(film, output, fresh=True, **CHUNKS)).chunks_done == 0


def test_overwriting_keeps_earlier_work_and_the_old_file_until_the_end(film: Path, tmp_path: Path) -> None:
    """Case 51."""
    output = tmp_path / "out.mkv"
    output.write_bytes(b"something else")
    stop = threading.Event()
    with pytest.raises(Interrupted):
        for event in upscale_video(
            film, output, run_settings(**{**QUICK, **CHUNKS}), overwrite=True, stop=stop
        ):
            if isinstance(event, ChunkFinished):
                stop.set()
    assert output.read_bytes() == b"something else"
    seen = []
    for event in upscale_video(film, output, run_settings(**{**QUICK, **CHUNKS}), overwrite=True):
        if isinstance(event, Planned | ChunkFinished):
            seen.append(output.read_bytes())
            if isinstance(event, Planned):
                assert event.chunks_done == 1
    assert set(seen) == {b"something else"}
    assert len(view(output).film.pts) == 40


def test_two_runs_of_one_output_exclude_each_other(film: Path, tmp_path: Path) -> None:
    """Case 46."""
    output = tmp_path / "out.mkv"
    first = upscale_video(film, output, run_settings(**{**QUICK, **CHUNKS}))
    while not isinstance(next(first), ChunkFinished):
        pass
    with pytest.raises(UsageError, match="another run is writing this output"):
        upscaled(film, output, **CHUNKS)
    for _ in first:
        pass
    assert len(view(output).film.pts) == 40
