"""Versions of the encoders, as the libraries report them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import av
import pytest

from pipelines.codec import encoder_builds as builds
from pipelines.codec.encoder_builds import encoder_builds


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    """Nor do other tests get what is found here."""
    encoder_builds.cache_clear()
    yield
    encoder_builds.cache_clear()


def test_every_library_tells_its_version() -> None:
    """Case 42: chunks of two builds do not go into one film."""
    found = encoder_builds()
    assert found["av"] == av.__version__
    assert re.fullmatch(
        r"\S+ \(avcodec [\d.]+, avfilter [\d.]+, avformat [\d.]+, avutil [\d.]+, swscale [\d.]+\)",
        found["ffmpeg"],
    )
    for name, encoder in (("x264", "libx264"), ("x265", "libx265"), ("svtav1", "libsvtav1")):
        assert (found[name] == "none") == (encoder not in av.codecs_available), name
        assert found[name] == "none" or re.search(r"\d", found[name]), found


@pytest.mark.parametrize("name", ["libavcodec", "libavfilter", "libavformat", "libavutil", "libswscale"])
def test_another_build_of_any_part_of_ffmpeg_is_another_version(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 42."""
    before = encoder_builds()["ffmpeg"]
    encoder_builds.cache_clear()
    monkeypatch.setitem(av.library_versions, name, (99, 0, 100))
    assert encoder_builds()["ffmpeg"] != before


def test_an_encoder_that_ffmpeg_was_built_without_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str, mode: str) -> None:
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av.CodecContext, "create", unknown)
    monkeypatch.setattr(av, "codecs_available", {"ffv1"})
    assert {k: v for k, v in encoder_builds().items() if k not in {"av", "ffmpeg"}} == {
        "x264": "none",
        "x265": "none",
        "svtav1": "none",
    }


def test_an_encoder_that_does_not_tell_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        builds, "_SIGNED", {name: (b"never", options) for name, (_, options) in builds._SIGNED.items()}
    )
    monkeypatch.setattr(builds, "_loaded", lambda _: ["/no/such/library.so"])
    assert {"none", "unknown"} >= {v for k, v in encoder_builds().items() if k not in {"av", "ffmpeg"}}
