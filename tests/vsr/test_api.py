"""The same as a function."""

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
    events = list(vsr.upscale(source, output, scale=2, model="nearest", codec="h264", preset="ultrafast", device="cpu"))
    assert isinstance(events[0], Planned)
    assert isinstance(events[-1], Finished)
    assert (events[-1].output, events[-1].frames) == (str(output), 5)
    assert list(vsr.upscale(str(source), str(output), scale=2, model="nearest", codec="h264", preset="ultrafast", device="cpu")) == [
        AlreadyDone(str(output), frames=5, bytes=output.stat().st_size)
    ]


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

    raised = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.VsrError)}
    assert raised | set(events.__all__) <= set(vsr.__all__)
