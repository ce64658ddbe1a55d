"""The Python interface, `vsr.upscale`: the same as the command."""

from __future__ import annotations

from pathlib import Path

import pytest

import vsr
from models.errors import UsageError
from pipelines.plan.events import AlreadyDone, Finished, Planned
from tests import media
from vsr.api import run_settings


@pytest.mark.usefixtures("inline")
def test_upscale_yields_what_the_command_shows(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=5)
    output = tmp_path / "out.mp4"
    events = list(
        vsr.upscale(source, output, scale=2, model="nearest", codec="h264", preset="ultrafast", device="cpu")
    )
    assert isinstance(events[0], Planned)
    assert isinstance(events[-1], Finished)
    assert (events[-1].output, events[-1].frames) == (str(output), 5)
    assert list(
        vsr.upscale(
            str(source), str(output), scale=2, model="nearest", codec="h264", preset="ultrafast", device="cpu"
        )
    ) == [AlreadyDone(str(output), frames=5, bytes=output.stat().st_size)]


def test_a_size_given_here_replaces_the_file_s(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('[target]\nto = "8k"\n[encode]\ncodec = "av1"\n')
    found = run_settings(config, scale=2, codec=None)
    assert (found.target.to, found.target.scale, found.encode.codec) == (None, 2, "av1")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown key 'scales'"):
        run_settings(scales=2)


def test_every_exported_name_is_there_and_is_the_one_that_the_library_uses() -> None:
    assert [name for name in vsr.__all__ if not hasattr(vsr, name)] == []
    assert (vsr.UsageError, vsr.Planned, vsr.Finished) == (UsageError, Planned, Finished)
    assert set(vsr.__all__) <= set(dir(vsr))


def test_events_and_errors_of_the_library_are_all_exported() -> None:
    from models import errors
    from pipelines.plan import events

    raised = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.VsrError)
    }
    assert raised | set(events.__all__) <= set(vsr.__all__)


@pytest.mark.usefixtures("inline")
def test_printed_events_stay_short(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=200)
    events = list(
        vsr.upscale(source, tmp_path / "out.mkv", scale=1, model="identity", codec="ffv1", device="cpu")
    )
    assert "in.mp4', h264 64x48 yuv420p, 200 frames)" in repr(events[0])
    assert max(len(repr(event)) for event in events[:-1]) < 600


@pytest.mark.usefixtures("inline")
def test_folders_of_an_output_are_made(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=3)
    for output in ("new/deep/out.mkv", "up/frame_%05d.png"):
        list(vsr.upscale(source, tmp_path / output, scale=1, model="identity", codec="ffv1", device="cpu"))
    assert (tmp_path / "new/deep/out.mkv").is_file()
    assert sorted(p.name for p in (tmp_path / "up").glob("*.png")) == [
        f"frame_0000{n}.png" for n in (1, 2, 3)
    ]


def test_an_output_below_a_file_is_refused(tmp_path: Path) -> None:
    source = media.cfr(tmp_path / "in.mp4", frames=3)
    with pytest.raises(UsageError, match=r"in\.mp4: is a file, so out\.mkv can't lie in it"):
        list(vsr.upscale(source, source / "out.mkv", scale=1, model="identity", codec="ffv1", device="cpu"))
