"""`vsr doctor` finds what is wrong with a machine, names the remedy, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.errors import ResourceError
from pipelines.diagnostics import doctor
from pipelines.diagnostics.dependencies import Library
from pipelines.diagnostics.doctor import Finding, examine, findings_of_hardware
from pipelines.pool import process_pool
from pipelines.settings.encoder_spec import Encoder
from pipelines.workers.messages import HardwareFacts
from tests.helpers.inline import WorkersHere, without_processes

PLAIN = HardwareFacts(
    2,
    "AVX2",
    amx=False,
    avx512_bf16=False,
    dtype="float32",
    cuda_build="",
    cuda=(),
    accelerator="",
    encoders=(),
    decoders=(),
)
GPU = {"name": "a GPU", "compute": "9.0", "memory_bytes": 80 * 10**9}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    without_processes(monkeypatch)
    monkeypatch.setattr(process_pool, "ProcessPool", lambda environments: WorkersHere())


def by_subject(found: list[Finding], subject: str) -> Finding:
    return [f for f in found if f.subject == subject][-1]


def test_a_machine_that_passes_the_tests_is_fit_and_its_folder_stays_empty(tmp_path: Path) -> None:
    found = list(examine(tmp_path))
    assert not [f for f in found if f.level == "problem"]
    assert {
        "python",
        "library",
        "memory",
        "disk",
        "cluster",
        "ffmpeg",
        "cpu",
        "gpu",
        "codecs",
        "self-test",
    } == {f.subject for f in found}
    assert by_subject(found, "self-test").facts["frames"] == 12
    assert "hevc" in next(f for f in found if f.subject == "ffmpeg").facts["encoders"]
    assert list(tmp_path.iterdir()) == []


def test_whatever_is_not_well_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        doctor, "libraries", lambda: [Library("torch", "1.0", "2.10"), Library("av", "18.1", "18.1")]
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    monkeypatch.setattr(doctor, "_run", lambda clip, folder: Finding("self-test", ""))
    found = list(examine(tmp_path))
    bad = [f for f in found if f.level == "problem"]
    assert [f.subject for f in bad] == ["library", "disk"]
    assert "torch>=2.10" in bad[0].remedy
    assert all(f.remedy for f in found if f.level != "ok")


def test_a_missing_library_is_a_finding_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "libraries", lambda: [Library("av", "", "18.1", "19")])
    monkeypatch.setattr(doctor, "_ffmpeg", lambda: pytest.fail("looked at what is not there"))
    (bad,) = [f for f in examine(tmp_path) if f.level == "problem"]
    assert "av is missing" in bad.text
    assert bad.remedy == "pip install 'av>=18.1,<19'"


def test_a_folder_that_can_not_be_written_is_a_problem_though_the_rest_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "_run", lambda clip, folder: Finding("self-test", "tried"))
    found = list(examine(tmp_path / "none"))
    assert [f.subject for f in found if f.level == "problem"] == ["disk"]
    assert by_subject(found, "self-test").text == "tried"


def test_a_run_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: object) -> object:
        raise ResourceError("no worker")

    monkeypatch.setattr("pipelines.run.job.upscale_video", fails)
    (bad,) = [f for f in examine(tmp_path) if f.level == "problem"]
    assert (bad.subject, "no worker" in bad.text) == ("self-test", True)


def test_drivers_that_end_their_process_are_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Dying:
        def run_tasks(self, *_: object, **__: object) -> object:
            raise ResourceError("the worker died")

    monkeypatch.setattr(process_pool, "ProcessPool", lambda environments: Dying())
    monkeypatch.setattr(doctor, "_run", lambda clip, folder: Finding("self-test", ""))
    (bad,) = [f for f in examine(tmp_path) if f.level == "problem"]
    assert (bad.subject, "the worker died" in bad.text) == ("cpu", True)


def test_a_gpu_that_torch_can_not_use_is_said(tmp_path: Path) -> None:
    found = list(findings_of_hardware(PLAIN, ["0", "1"]))
    gpu = by_subject(found, "gpu")
    assert (gpu.level, "2 CUDA devices" in gpu.text, "no CUDA" in gpu.text) == ("advice", True, True)
    usable = dataclasses.replace(PLAIN, cuda=(GPU,), cuda_build="12.8")
    assert [(f.subject, f.level) for f in findings_of_hardware(usable, ["0"])] == [
        ("cpu", "ok"),
        ("gpu", "ok"),
        ("codecs", "ok"),
    ]


def test_a_gpu_that_is_no_cuda_device_is_named() -> None:
    arc = dataclasses.replace(PLAIN, accelerator="Intel Arc B580", dtype="float16")
    gpu = by_subject(list(findings_of_hardware(arc, [])), "gpu")
    assert (gpu.level, gpu.text, gpu.facts["accelerator"]) == ("ok", "Intel Arc B580", "Intel Arc B580")
    none = by_subject(list(findings_of_hardware(PLAIN, [])), "gpu")
    assert (none.level, none.text) == ("ok", "none that torch can use: networks run on the CPU")


def test_doctor_has_advice_for_a_cpu_on_which_networks_run_in_fp32() -> None:
    assert by_subject(list(findings_of_hardware(PLAIN, [])), "cpu").level == "advice"
    assert (
        by_subject(
            list(findings_of_hardware(dataclasses.replace(PLAIN, amx=True, dtype="bfloat16"), [])), "cpu"
        ).level
        == "ok"
    )


def test_every_encoder_of_a_gpu_is_tested_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 88."""
    flaws = {
        "hevc_nvenc": "",
        "h264_nvenc": "frame 20 comes back at 12.0 dB",
        "av1_nvenc": "the encoder av1_nvenc can't be opened: no",
    }
    steps: list[str] = []

    def tested(encoder: Encoder) -> tuple[Encoder, str]:
        steps.append(encoder.name)
        return encoder, flaws[encoder.name]

    monkeypatch.setattr("pipelines.hardware.graphics_driver.vendors_here", lambda: ["nvenc"])
    monkeypatch.setattr("pipelines.hardware.graphics_driver.encoder_hardware", lambda maker: f"{maker} 1")
    monkeypatch.setattr("pipelines.encoders.encoder_choice.self_tested", tested)
    monkeypatch.setattr(
        "pipelines.encoders.encoder_choice.forget_self_tests", lambda: steps.append("forgotten")
    )
    found = list(doctor._encoders())
    assert [(f.level, f.facts["flaw"]) for f in found] == [
        ("advice" if flaw else "ok", flaw) for flaw in flaws.values()
    ]
    assert steps == ["forgotten", *flaws]
    assert all("software encodes" in f.remedy for f in found[1:])
