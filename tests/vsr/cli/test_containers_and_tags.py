"""The default name of a result, and the tags that are kept in its container."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from tests import media
from tests.helpers.matroska_chapters import atom, edition, with_chapters

IDENTITY = ("--scale", "2", "--model", "lanczos", "--codec", "h264", "--preset", "draft", "--device", "cpu")


def with_tags(
    path: Path, tags: dict[str, str], sound: dict[str, str] | None = None, movflags: str = "use_metadata_tags"
) -> Path:
    """A film with sound, with these tags."""
    plain = media.write(path.with_name("plain.mkv"), media.Film(frames=3), audio=(media.Audio(seconds=0.2),))
    options = {"movflags": movflags} if path.suffix in {".mp4", ".mov"} else {}
    with av.open(str(plain)) as source, av.open(str(path), "w", container_options=options) as output:
        tracks = {s.index: output.add_stream_from_template(s) for s in source.streams}
        output.metadata.update(tags)
        tracks[1].metadata.update(sound or {})
        for packet in source.demux():
            if packet.dts is not None or packet.size:
                packet.stream = tracks[packet.stream.index]
                output.mux(packet)
    plain.unlink()
    return path


def tags_of(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """(of the file, of its sound)."""
    with av.open(str(path)) as container:
        return dict(container.metadata), dict(container.streams.audio[0].metadata)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("source", [".mp4", ".mov", ".mkv"])
def test_keys_of_any_name_and_names_of_tracks_are_kept(
    here, tmp_path: Path, source: str, suffix: str
) -> None:
    """Case 29."""
    tags = {
        "com.apple.quicktime.model": "iPhone 14 Pro",
        "firmware": "HD9.01",
        "title": "A day",
        "own-key": "value",
    }
    film = with_tags(tmp_path / f"in{source}", tags, {"title": "Commentary"})
    outcome = here("run", film, "-o", tmp_path / f"out{suffix}", *IDENTITY)
    assert outcome.code == 0, outcome.err
    kept, sound = ({k.lower(): v for k, v in found.items()} for found in tags_of(tmp_path / f"out{suffix}"))
    assert tags.items() <= kept.items()
    assert "Commentary" in {sound.get("title"), sound.get("name")}
    assert "can't hold these tags" not in outcome.err


def test_titles_lie_where_players_look_for_them_unless_other_keys_need_the_place(
    here, tmp_path: Path
) -> None:
    film = with_tags(tmp_path / "in.mkv", {"title": "A day", "artist": "Nobody"})
    assert here("run", film, "-o", tmp_path / "out.mp4", *IDENTITY).code == 0
    assert b"\xa9nam" in (tmp_path / "out.mp4").read_bytes()


def test_tags_that_a_container_can_not_hold_are_said_before_work(here, tmp_path: Path) -> None:
    """Case 29."""
    film = with_tags(tmp_path / "in.mkv", {}, {"mood": "quiet"})
    assert "MOOD = quiet (of audio stream 1)" in here("plan", film, "-o", tmp_path / "out.mp4", *IDENTITY).out
    assert "MOOD" not in here("plan", film, "-o", tmp_path / "out.mkv", *IDENTITY).out


def test_a_result_goes_where_every_track_fits_and_that_is_said(
    here, shared_data: Path, tmp_path: Path
) -> None:
    """Case 23: phones write tracks of sensors, which MOV alone holds, and speech as AMR."""
    for name, held, what in (("18_iphone.MOV", "data stream 2", "stays"), ("18_phone.3gp", "amrnb", "is")):
        film = tmp_path / name
        film.write_bytes((shared_data / "media" / "faults" / name).read_bytes())
        outcome = here("plan", film, *IDENTITY)
        assert outcome.code == 0, outcome.err
        assert f"the result {what} a .mov, as .mp4 can't hold its" in outcome.out
        assert held in outcome.out
        given = here("plan", film, *IDENTITY, "--drop-incompatible")
        assert "p.mp4" in given.out
        assert "left out: " in given.out


@pytest.mark.parametrize("suffix", [".3gp", ".ts", ".m2ts", ".nut", ".avi"])
def test_a_container_that_is_not_written_is_refused_with_its_reason(
    here, tmp_path: Path, suffix: str
) -> None:
    film = media.cfr(tmp_path / "in.mp4", frames=3)
    here("plan", film, "-o", tmp_path / f"out{suffix}", *IDENTITY).refused(
        2, f"ends in {suffix} is not written, as it", "name one"
    )


def test_a_plan_and_the_report_name_what_is_lost(here, tmp_path: Path) -> None:
    source = with_chapters(tmp_path / "a.mkv", edition(atom(0), ordered=1), edition(atom(1)))
    given = (source, "-o", tmp_path / "out.mkv", *IDENTITY)
    assert "left out: of its chapters, the order of play" in here("plan", *given).out
    done = here("run", *given)
    assert done.code == 0, done.err
    report = (tmp_path / "out.mkv.vsr.json").read_text()
    assert "of its chapters, the order of play" in report
    assert "2 editions" in report
