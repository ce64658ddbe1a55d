"""Results of --encoder.

Options that FFmpeg's tables contain, formats, refusals, and the encoder that auto chooses.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pipelines.encoders.encoder_choice as choice
from models.errors import UsageError
from pipelines.encoders.encoder_options import EncoderTarget, choose_encoder, without_b_frames
from pipelines.encoders.hardware_options import hardware_formats, hardware_options
from pipelines.hardware import graphics_driver
from pipelines.hardware.graphics_driver import encoder_hardware, first_nvidia, listed_by_windows
from pipelines.media.cicp import ColorTags, HdrMetadata
from pipelines.media.pixel_format import PixelFormat
from pipelines.settings.encoder_spec import HARDWARE_CODECS, VENDORS, Encoder
from pipelines.settings.run_settings import EncodeSettings, RunSettings
from tests.helpers.option_tables import option_table
from tests.helpers.stand_in_encoders import flaw_of, made_stand_in

TAGS = ColorTags(1, 1, 1, 1, 1)
IN_THE_WHEEL = [(codec, vendor) for codec in HARDWARE_CODECS for vendor in ("nvenc", "qsv", "amf")]


def chosen(
    settings: EncodeSettings,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (1280, 720),
    container: str = "matroska",
) -> Encoder:
    return choose_encoder(settings, PixelFormat.parse(pix_fmt), EncoderTarget(*size, container))


@pytest.mark.parametrize(("codec", "vendor"), IN_THE_WHEEL)
def test_every_option_and_value_stands_in_ffmpeg_s_own_table(codec: str, vendor: str) -> None:
    """Case 89."""
    table = option_table(f"{codec}_{vendor}")
    for pix_fmt in hardware_formats(codec, vendor):
        for preset in ("draft", "balanced", "archive"):
            for crf in (0, 19, 51):
                for key, value in hardware_options(
                    codec, vendor, preset=preset, crf=crf, pix_fmt=pix_fmt
                ).items():
                    assert key in table, key
                    least, most, names = table[key]
                    if key == "flags":
                        assert set(value.strip("+").split("+")) <= names
                    else:
                        assert value in names or least <= float(value) <= most, (key, value)


@pytest.mark.parametrize(
    ("codec", "software", "vendors"),
    [
        ("h264", "libx264", [*VENDORS]),
        ("hevc", "libx265", [*VENDORS]),
        ("av1", "libsvtav1", ["nvenc", "qsv", "amf"]),
    ],
)
def test_a_coarse_quantiser_counts_as_coarse_as_the_crf_that_it_stands_for(
    codec: str, software: str, vendors: list[str]
) -> None:
    """Case 89."""
    for vendor, crf in itertools.product(vendors, (18, 36, 40, 48)):
        options = hardware_options(codec, vendor, preset="balanced", crf=crf, pix_fmt="yuv420p")
        hardware = Encoder(codec, f"{codec}_{vendor}", 128, 96, "yuv420p", options)
        wanted = Encoder(codec, software, 128, 96, "yuv420p", {"crf": str(crf)}).coarseness
        assert hardware.coarseness == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize(
    ("codec", "vendor", "source", "made", "fed"),
    [
        ("hevc", "nvenc", "yuv420p10le", "yuv420p10le", "p010le"), ("hevc", "nvenc", "yuv422p10le", "yuv422p10le", "p210le"),
        ("hevc", "nvenc", "yuv444p", "yuv444p", "yuv444p"), ("hevc", "nvenc", "gray", "yuv420p", "nv12"),
        ("h264", "nvenc", "yuv420p", "yuv420p", "nv12"), ("av1", "amf", "yuv420p10le", "yuv420p10le", "p010le"),
        ("hevc", "qsv", "yuv422p10le", "yuv422p10le", "y210le"), ("hevc", "videotoolbox", "yuv420p10le", "yuv420p10le", "p010le"),
    ],
)  # fmt: skip
def test_depth_and_subsampling_are_kept_where_the_maker_can(
    codec: str, vendor: str, source: str, made: str, fed: str
) -> None:
    """Case 89."""
    encoder = chosen(EncodeSettings(codec=codec, encoder=vendor), source)
    assert (encoder.name, encoder.pix_fmt, encoder.fed_format, encoder.vendor) == (
        f"{codec}_{vendor}",
        made,
        fed,
        vendor,
    )


@pytest.mark.parametrize(
    ("planar", "fed"), sorted({pair for formats in VENDORS.values() for pair in formats.items()})
)
def test_what_hardware_is_fed_has_the_same_samples(planar: str, fed: str) -> None:
    import av
    import numpy as np

    frame = av.VideoFrame(64, 48, planar)
    random = np.random.default_rng(1)
    for plane in frame.planes:
        codes = (
            random.integers(0, 1024, plane.buffer_size // 2, dtype=np.uint16)
            if "10" in planar
            else random.integers(0, 256, plane.buffer_size, dtype=np.uint8)
        )
        plane.update(codes.tobytes())
    back = frame.reformat(format=fed).reformat(format=planar)
    assert [bytes(p) for p in back.planes] == [bytes(p) for p in frame.planes]


def test_crf_and_presets_become_a_constant_quantiser() -> None:
    encoder = chosen(EncodeSettings(codec="hevc", encoder="nvenc", crf=20.4))
    assert (
        encoder.options["rc"],
        encoder.options["qp"],
        encoder.options["preset"],
        encoder.options["bf"],
    ) == ("constqp", "20", "p5", "2")
    av1 = chosen(EncodeSettings(codec="av1", encoder="amf", preset="archive"), container="mp4").options
    assert (av1["qp_i"], av1["qp_p"], av1["qp_b"], av1["quality"]) == ("72", "80", "88", "quality")
    assert chosen(EncodeSettings(codec="hevc", encoder="qsv"), container="mp4").tag == "hvc1"
    assert chosen(EncodeSettings(codec="h264", encoder="nvenc", options={"qp": "3"})).options["qp"] == "3"
    fewer = without_b_frames(encoder)
    assert fewer is not None
    assert fewer.options["bf"] == "0"
    assert without_b_frames(fewer) is None
    assert without_b_frames(chosen(EncodeSettings())) is None


@pytest.mark.parametrize(
    ("settings", "source", "size", "said"),
    [
        (EncodeSettings(codec="h264", encoder="qsv"), "yuv420p10le", (640, 360), "h264_qsv can't hold yuv420p10le; give --encoder software"),
        (EncodeSettings(codec="h264", encoder="nvenc"), "yuv420p", (7680, 4320), "4096 a side at most; choose a smaller --to, --codec hevc or --encoder software"),
        (EncodeSettings(codec="hevc", encoder="nvenc"), "yuv420p", (15360, 8640), "8192 a side at most; choose a smaller --to, --encoder software"),
        (EncodeSettings(codec="hevc", encoder="videotoolbox", preset="slow"), "yuv420p", (640, 360), "hevc_videotoolbox has no presets"),
        (EncodeSettings(codec="hevc", encoder="amf", pixel_format="yuv444p"), "yuv444p", (640, 360), "hevc_amf can't hold yuv444p"),
    ],
)  # fmt: skip
def test_what_hardware_can_t_do_is_refused_with_what_can(
    settings: EncodeSettings, source: str, size: tuple[int, int], said: str
) -> None:
    """Case 88."""
    with pytest.raises(UsageError) as caught:
        chosen(settings, source, size)
    assert said in str(caught.value)
    with pytest.raises(UsageError, match="expected one of auto, software, nvenc"):
        EncodeSettings(encoder="cuda")


def decided(
    encoder: str = "auto", vendor: str = "nvenc", pix_fmt: str = "yuv420p", **more: object
) -> tuple[Encoder, list[str]]:
    settings = EncodeSettings(encoder=encoder, **more)  # type: ignore[arg-type]
    return choice.proven_encoder(
        settings, lambda s: chosen(s, pix_fmt), vendor, tags=lambda _: TAGS, hdr=HdrMetadata()
    )


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A GPU with a driver; "flaws": what is found by encoders' B frames, "asked": how often a child was
    begun.
    """
    state = {"hardware": "GPU, driver 1", "0": "", "2": "", "asked": ""}

    def child(target: str, encoder: Encoder, *given: object, seconds: float) -> str:
        state["asked"] += "x"
        return state[encoder.options.get("bf", "0")]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice, "encoder_hardware", lambda _: state["hardware"])
    monkeypatch.setattr(choice, "call_in_child", child)
    return state


def test_auto_takes_hardware_that_passes_and_says_so(driver: dict[str, str]) -> None:
    """Case 88."""
    encoder, said = decided()
    assert encoder.name == "hevc_nvenc"
    assert said == ["encoded by hevc_nvenc (GPU, driver 1), which passed its self-test"]
    assert driver["asked"] == "xx", "the self-test, and the plan's own size"
    decided()
    assert driver["asked"] == "xxx", "the self-test is remembered, the plan's size is not"
    driver["hardware"] = "GPU, driver 2"
    decided()
    assert driver["asked"] == "xxxxx", "another driver is tested anew"


def test_auto_encodes_in_software_where_the_self_test_fails_and_says_why(driver: dict[str, str]) -> None:
    """Case 88."""
    driver["0"] = driver["2"] = "frame 20 comes back at 12.0 dB"
    encoder, said = decided()
    assert encoder.name == "libx265"
    assert said == [
        "encoded in software, as hevc_nvenc can't be used here: frame 20 comes back at 12.0 dB; `vsr doctor` tests it again"
    ]
    with pytest.raises(
        UsageError, match="--encoder nvenc: hevc_nvenc can't be used here: frame 20.*give --encoder software"
    ):
        decided("nvenc")
    driver["hardware"] = ""
    with pytest.raises(UsageError, match="no such GPU is there"):
        decided("nvenc")


def test_chips_without_b_frames_are_used_without_them(driver: dict[str, str]) -> None:
    driver["2"] = "the encoder hevc_nvenc can't be opened: Max B-frames 2 exceed 0"
    encoder, _ = decided()
    assert (encoder.name, encoder.options["bf"]) == ("hevc_nvenc", "0")


def test_a_flaw_is_remembered_but_not_that_an_encoder_could_not_be_opened(driver: dict[str, str]) -> None:
    driver["0"] = driver["2"] = "the encoder hevc_nvenc can't be opened: no session"
    assert decided()[0].name == "libx265"
    driver["0"] = driver["2"] = ""
    assert decided()[0].name == "hevc_nvenc"


def test_what_was_remembered_of_self_tests_can_be_forgotten(driver: dict[str, str]) -> None:
    """Case 88."""
    driver["0"] = driver["2"] = "hung: it was ended after 120 s"
    assert decided()[0].name == "libx265"
    driver["0"] = driver["2"] = ""
    assert decided()[0].name == "libx265"
    choice.forget_self_tests()
    assert decided()[0].name == "hevc_nvenc"


def test_a_driver_that_loses_a_frame_behind_b_frames_only_is_used_without_them(
    driver: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 88."""

    def child(target: str, encoder: Encoder, *given: Any, seconds: float) -> str:
        way = "good" if encoder.options.get("bf", "0") == "0" else "lose last"
        return flaw_of(way, made_stand_in(encoder), *given)

    monkeypatch.setattr(choice, "call_in_child", child)
    encoder, said = decided(codec="h264")
    assert (encoder.name, encoder.options["bf"]) == ("h264_nvenc", "0")
    assert "passed its self-test" in said[0]


def test_auto_changes_no_format_and_takes_nothing_for_options_of_software(
    driver: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 88."""
    encoder, said = decided(pix_fmt="gray")
    assert (encoder.name, encoder.pix_fmt) == ("libx265", "gray")
    assert said == ["encoded in software: hevc_nvenc would need yuv420p"]
    assert decided(vendor="amf", codec="h264", pix_fmt="yuv420p10le")[0].name == "libx264"
    assert driver["asked"] == ""
    monkeypatch.setattr(choice, "computing_device", lambda _: "cuda")

    def wanted(picture: bool = False, cluster: str | None = None, **encode: object) -> str:
        return choice.wanted_vendor(
            RunSettings(encode=EncodeSettings(**encode), cluster=cluster), picture=picture
        )  # type: ignore[arg-type]

    assert wanted() == "nvenc"
    assert (
        wanted(options={"x265-params": "ref=2"})
        == wanted(preset="slower")
        == wanted(codec="ffv1")
        == wanted(picture=True)
        == wanted(encoder="software")
        == ""
    )
    assert wanted(cluster="local:2") == ""
    assert wanted(encoder="qsv", cluster="local:2") == "qsv"
    with pytest.raises(UsageError, match="pictures are encoded in software"):
        wanted(encoder="qsv", picture=True)


def test_without_a_gpu_no_driver_is_queried_and_software_encodes() -> None:
    """Case 88."""
    settings = RunSettings()
    vendor = choice.wanted_vendor(settings, picture=False)
    encoder, said = decided(vendor=vendor)
    assert (vendor, encoder, said) == ("", chosen(EncodeSettings()), [])
    assert encoder == chosen(replace(settings.encode, encoder="software"))


def test_gpus_and_drivers_are_read_from_what_systems_list() -> None:
    told = "0, GPU-aa11, NVIDIA GeForce RTX 4090, 570.86\n1, GPU-bb22, NVIDIA GeForce RTX 3060, 570.86\n"
    assert first_nvidia(told, "") == "NVIDIA GeForce RTX 4090, driver 570.86"
    assert (
        first_nvidia(told, "1,0") == first_nvidia(told, "GPU-bb") == "NVIDIA GeForce RTX 3060, driver 570.86"
    )
    assert first_nvidia("", "") == first_nvidia("No devices were found\n", "") == ""
    listed = '[{"Name":"Intel(R) UHD Graphics 770","DriverVersion":"31.0.101"},{"Name":"AMD Radeon RX 7900 XTX","DriverVersion":"32.0.1"}]'
    assert listed_by_windows(listed, "amf") == "AMD Radeon RX 7900 XTX, driver 32.0.1"
    assert listed_by_windows(listed, "qsv") == "Intel(R) UHD Graphics 770, driver 31.0.101"
    assert (
        listed_by_windows('{"Name":"NVIDIA T400","DriverVersion":"1"}', "amf")
        == listed_by_windows("", "amf")
        == listed_by_windows("null", "amf")
        == listed_by_windows('["Radeon", null]', "amf")
        == ""
    )


@pytest.mark.parametrize(
    ("visible", "name"),
    [("0", "RTX 4090"), ("1", "RTX 3060"), ("GPU-aa", "RTX 4090"), ("-1", ""), ("MIG-aa11", ""), ("7", "")],
)
def test_the_gpu_that_encodes_is_the_first_visible_one(visible: str, name: str) -> None:
    told = "0, GPU-aa11, RTX 4090, 570.86\n1, GPU-bb22, RTX 3060, 570.86\n"
    assert first_nvidia(told, visible) == (f"{name}, driver 570.86" if name else "")


def test_adapters_of_windows_are_listed_once_in_any_code_page(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = '[{"Name":"AMD Radeon\x81 780M","DriverVersion":"32.0.1"}]'
    asked: list[object] = []

    def run(command: object, **how: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess([], 0, listing.encode("latin-1").decode("cp1252", how["errors"]))

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("pipelines.hardware.graphics_driver.subprocess.run", run)
    for cached in (graphics_driver._hardware, graphics_driver._adapters_of_windows):
        cached.cache_clear()
    try:
        assert encoder_hardware("amf") == "AMD Radeon\N{REPLACEMENT CHARACTER} 780M, driver 32.0.1"
        assert encoder_hardware("qsv") == ""
        assert len(asked) == 1
    finally:
        for cached in (graphics_driver._hardware, graphics_driver._adapters_of_windows):
            cached.cache_clear()


@pytest.mark.parametrize(
    ("pix_fmt", "size", "codecs"),
    [
        ("yuv420p", (34, 64), {"h264", "av1", "prores", "ffv1"}),
        ("yuv422p", (34, 64), {"h264", "prores", "ffv1"}),
        ("gbrap", (34, 64), {"h264", "prores", "ffv1"}),
        ("yuv444p12le", (34, 64), {"prores", "ffv1"}),
        ("yuv444p16le", (34, 64), {"prores", "ffv1"}),
        ("yuv420p", (20000, 64), {"ffv1"}),
    ],
)
def test_a_size_that_hevc_does_not_hold_is_refused_with_codecs_that_hold_its_pixels_too(
    pix_fmt: str, size: tuple[int, int], codecs: set[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        chosen(EncodeSettings(codec="hevc", preset="ultrafast"), pix_fmt, size)
    named = re.search(r"--codec (\w+(?: or \w+)*)", str(refused.value))
    assert named is not None
    assert set(named[1].split(" or ")) == codecs
    for codec in codecs:
        assert chosen(EncodeSettings(codec=codec), pix_fmt, size).codec == codec
