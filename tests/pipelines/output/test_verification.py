"""No wrong result gets the final name. Case 18, and other mistakes that a worker could make."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from models.errors import VerificationError
from pipelines.frames import thumbnail
from pipelines.output import picture_verification, verification
from pipelines.output.journal import work_folder
from pipelines.planner import container_choice
from pipelines.run import publishing
from pipelines.run.job import upscale_video
from tests import media
from tests.helpers.inline import H264, QUICK, upscaled
from tests.helpers.view import frames
from vsr.api import run_settings

CHUNKS = {"chunk_seconds": 0.25}


def film(folder: Path) -> Path:
    """A lossless film of 24 frames, so that workers know what its pictures decode to."""
    return media.cfr(folder / "in.mkv", frames=24, codec="ffv1", gop=1, rate=Fraction(25))


def assert_refused(source: Path, worker: str, message: str, **settings: object) -> None:
    """The job ends with VerificationError and without a result."""
    output = source.with_name("out.mkv")
    with pytest.raises(VerificationError, match=message):
        upscaled(source, output, worker=f"tests.pipelines.pool.failing_workers:{worker}", **settings)
    assert not output.exists()
    assert not (work_folder(output) / "result").exists()


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("worker", ["Swapping", "Doubling", "Dropping", "Lagging"])
@pytest.mark.parametrize(
    "settings", [{}, {"codec": "h264", "crf": 20.0, "preset": "ultrafast"}], ids=["ffv1", "h264"]
)
def test_a_frame_that_shows_a_neighbour_is_caught_though_count_and_times_are_right(
    tmp_path: Path, worker: str, settings: dict[str, object]
) -> None:
    """Case 18."""
    assert_refused(film(tmp_path), worker, "shows a neighbour", **settings, **CHUNKS)


def test_a_swap_in_a_child_process_ends_the_run_with_code_7(tmp_path: Path) -> None:
    """Case 18."""
    source = film(tmp_path)
    with pytest.raises(VerificationError, match="shows a neighbour") as raised:
        list(
            upscale_video(
                source,
                tmp_path / "out.mkv",
                run_settings(**QUICK),
                worker="tests.pipelines.pool.failing_workers:Swapping",
            )
        )
    assert raised.value.exit_code == 7
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.usefixtures("inline")
def test_a_chunk_that_holds_the_pictures_of_another_is_caught_in_the_result(tmp_path: Path) -> None:
    """Case 18: beyond the worker's own eyes."""
    assert_refused(film(tmp_path), "Stale", "shows something else than its source", **CHUNKS)


@pytest.mark.usefixtures("inline")
def test_a_chunk_with_more_packets_than_timestamps_is_not_muxed(tmp_path: Path) -> None:
    assert_refused(film(tmp_path), "Trimming", "packets|frames|timestamps", **CHUNKS)


@pytest.mark.usefixtures("inline")
def test_the_same_film_passes_with_an_honest_worker(tmp_path: Path) -> None:
    source = film(tmp_path)
    upscaled(source, tmp_path / "out.mkv", **CHUNKS)
    assert len(frames(tmp_path / "out.mkv")) == 24


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(
    "settings",
    [QUICK, {**H264, "scale": 2, "model": "lanczos"}, {**H264, "codec": "hevc"}],
    ids=["ffv1", "h264", "hevc"],
)
def test_a_film_that_hardly_moves_is_not_taken_for_a_mix_up(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    """A still, its frames alike but for the codec's noise."""
    source = media.write(
        tmp_path / "in.mp4", media.Film(frames=30, rate=Fraction(25), still=True, options={"crf": "40"})
    )
    upscaled(source, tmp_path / "out.mkv", **{**settings, **CHUNKS})


def _with_broken_result(patch: pytest.MonkeyPatch, break_it: object) -> None:
    """Let something happen to the assembled file before it is verified."""
    verify = verification.verify

    def broken(path: Path, *rest: object, **more: object) -> object:
        break_it(path)  # type: ignore[operator]
        return verify(path, *rest, **more)  # type: ignore[arg-type]

    patch.setattr(publishing, "verify", broken)


@pytest.mark.usefixtures("inline")
def test_a_result_cut_short_by_the_disk_is_not_given_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_broken_result(
        monkeypatch, lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    )
    source = film(tmp_path)
    with pytest.raises(VerificationError):
        upscaled(source, tmp_path / "out.mkv", **CHUNKS)
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.usefixtures("inline")
def test_a_changed_byte_of_sound_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = media.write(
        tmp_path / "in.mkv", media.Film(frames=24), audio=(media.Audio(codec="pcm_s16le", seconds=1.0),)
    )

    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        sample = bytes(_first_sound(source))[100:140]
        content[content.index(sample) + 3] ^= 1
        path.write_bytes(content)

    _with_broken_result(monkeypatch, flip)
    with pytest.raises(VerificationError, match="audio stream 1: its samples are not those of the source"):
        upscaled(source, tmp_path / "out.mkv", **CHUNKS)
    assert not (tmp_path / "out.mkv").exists()


def _first_sound(path: Path) -> bytes:
    import av

    with av.open(str(path)) as container:
        return bytes(next(p for p in container.demux(audio=0) if p.size))


@pytest.mark.usefixtures("inline")
def test_a_damaged_picture_at_a_seam_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFV1 has checksums; a broken slice is a broken promise."""
    source = film(tmp_path)

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        for place in range(len(content) // 3, len(content) // 3 + 4000, 90):
            content[place] ^= 0x10
        path.write_bytes(content)

    _with_broken_result(monkeypatch, damage)
    with pytest.raises(VerificationError):
        upscaled(source, tmp_path / "out.mkv", verify="full", **CHUNKS)
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.usefixtures("inline")
def test_the_report_says_what_was_checked(tmp_path: Path) -> None:
    import json

    source = media.company(tmp_path / "in.mkv")
    upscaled(source, tmp_path / "out.mkv", verify="full", **CHUNKS)
    report = json.loads((tmp_path / "out.mkv.vsr.json").read_text())
    assert report["frames"] == report["frames_decoded"] == 48
    assert report["streams_passed"] >= 5
    assert report["packets_passed"] == 2 * 95 + 3 * 2
    assert report["concealed"] == 0


@pytest.mark.usefixtures("inline")
def test_frames_are_checked_as_they_are_decoded_and_none_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of seconds at 8K would fill the memory of most machines."""
    source, waiting, most = film(tmp_path), 0, 0
    decode, look = verification._decoded, thumbnail.thumbnail

    def decoded(*given: Any) -> list[Any]:
        nonlocal waiting, most
        made = decode(*given)
        waiting += len(made)
        most = max(most, waiting)
        return made

    def looked(*given: Any) -> Any:
        nonlocal waiting
        waiting -= 1
        return look(*given)

    monkeypatch.setattr(
        container_choice, "tracks_that_fail", lambda *_, **__: []
    )  # the trial before work decodes, too
    monkeypatch.setattr(verification, "_decoded", decoded)
    monkeypatch.setattr(picture_verification, "thumbnail", looked)
    upscaled(source, tmp_path / "out.mkv", verify="full", chunk_seconds=10)
    assert 0 < most < 8
