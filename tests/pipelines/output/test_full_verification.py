"""`--verify full` checks a result that already exists. Case 45."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.errors import UsageError, VerificationError
from pipelines.plan.events import AlreadyDone, Finished, Note
from tests import media
from tests.helpers.inline import upscaled

pytestmark = pytest.mark.usefixtures("inline")


def damaged(path: Path) -> None:
    """Some bytes in the middle, at the same size."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(b ^ 0x5A for b in content[middle : middle + 40])
    path.write_bytes(content)


def names(tmp_path: Path, kind: str) -> tuple[Path, Path, Path]:
    """(source, output, a file of the output)."""
    if kind == "film":
        return media.cfr(tmp_path / "in.mp4", frames=6), tmp_path / "out.mkv", tmp_path / "out.mkv"
    return media.cfr(tmp_path / "in.mp4", frames=6), tmp_path / "out_%03d.png", tmp_path / "out_003.png"


@pytest.mark.parametrize("kind", ["film", "pictures"])
def test_a_finished_result_that_is_whole_is_looked_at_and_kept(tmp_path: Path, kind: str) -> None:
    """Case 45."""
    source, output, file = names(tmp_path, kind)
    upscaled(source, output)
    before = file.stat().st_mtime_ns
    events = upscaled(source, output, verify="full")
    assert [e.text for e in events if isinstance(e, Note)] == [f"{output}: decoded all of it again, 6 frames"]
    assert isinstance(events[-1], AlreadyDone)
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", ["film", "pictures"])
def test_a_damaged_one_is_found_and_made_anew_on_request(tmp_path: Path, kind: str) -> None:
    """Case 45: though its size is right."""
    source, output, file = names(tmp_path, kind)
    upscaled(source, output)
    damaged(file)
    broken = file.read_bytes()
    assert isinstance(upscaled(source, output)[-1], AlreadyDone), (
        "the size is all that is looked at otherwise"
    )
    with pytest.raises(
        VerificationError,
        match=r"out.*: is no longer what was verified: .*; give --overwrite to make it again",
    ) as raised:
        upscaled(source, output, verify="full")
    assert raised.value.exit_code == 7
    assert isinstance(upscaled(source, output, verify="full", overwrite=True)[-1], Finished)
    assert file.read_bytes() != broken
    assert isinstance(upscaled(source, output, verify="full")[-1], AlreadyDone)


@pytest.mark.parametrize("kind", ["film", "pictures"])
@pytest.mark.parametrize("how", ["cut short", "longer"])
def test_a_damaged_one_of_another_size_is_found_as_well(tmp_path: Path, kind: str, how: str) -> None:
    """Case 45: without being asked to look, it is somebody else's file, which stays."""
    source, output, file = names(tmp_path, kind)
    upscaled(source, output)
    whole = file.read_bytes()
    file.write_bytes(whole[:-40] if how == "cut short" else whole + b"more")
    with pytest.raises(
        VerificationError, match=r"is no longer what was verified: \d+ bytes, not \d+; give --overwrite"
    ):
        upscaled(source, output, verify="full")
    if kind == "film":
        with pytest.raises(
            UsageError, match="already exists and .*, or was damaged or replaced since; give --overwrite"
        ):
            upscaled(source, output)
    assert isinstance(upscaled(source, output, verify="full", overwrite=True)[-1], Finished)


def shortened(path: Path, folder: Path) -> None:
    """Another film of fewer frames at the same size."""
    size = path.stat().st_size
    upscaled(media.cfr(folder / "other.mp4", frames=4), folder / "other.mkv")
    path.write_bytes((folder / "other.mkv").read_bytes().ljust(size, b"\0"))


@pytest.mark.parametrize("kind", ["film", "pictures"])
def test_a_report_without_a_hash_is_made_up_for_by_decoding(tmp_path: Path, kind: str) -> None:
    """Case 45: reports of earlier versions have none."""
    source, output, file = names(tmp_path, kind)
    upscaled(source, output)
    path = next(tmp_path.glob("*.vsr.json"))
    report = json.loads(path.read_bytes())
    del report["sha256"]
    path.write_text(json.dumps(report), encoding="utf-8")
    assert isinstance(upscaled(source, output, verify="full")[-1], AlreadyDone)
    damaged(file) if kind == "pictures" else shortened(file, tmp_path)
    with pytest.raises(VerificationError):
        upscaled(source, output, verify="full")
