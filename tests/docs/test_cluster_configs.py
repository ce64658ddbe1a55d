"""Checks that files in configs/cluster are well-formed and consistent with the rest; nothing is started."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.command import ROOT

yaml = pytest.importorskip("yaml")
jsonschema = pytest.importorskip("jsonschema")

FOLDER = ROOT / "configs" / "cluster"


def closed(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required or [],
        "properties": properties,
    }


TEXT, COUNT, YES = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
PARAMETERS = {"type": "object", "additionalProperties": TEXT}
CONTAINER = closed(
    ["name", "image", "resources"], name=TEXT, image=TEXT, resources=closed(["requests", "limits"], requests=PARAMETERS, limits=PARAMETERS),
    volumeMounts={"type": "array", "items": closed(["name", "mountPath"], name=TEXT, mountPath=TEXT)},
)  # fmt: skip
VOLUME = closed(
    ["name"],
    name=TEXT,
    persistentVolumeClaim=closed(["claimName"], claimName=TEXT),
    emptyDir=closed(medium=TEXT, sizeLimit=TEXT),
)
TEMPLATE = closed(
    ["spec"],
    spec=closed(
        ["containers"],
        containers={"type": "array", "minItems": 1, "items": CONTAINER},
        volumes={"type": "array", "items": VOLUME},
    ),
)
RAYJOB = closed(
    ["apiVersion", "kind", "metadata", "spec"], apiVersion={"const": "ray.io/v1"}, kind={"const": "RayJob"}, metadata=closed(["name"], name=TEXT),
    spec=closed(
        ["entrypoint", "rayClusterSpec"], entrypoint=TEXT, shutdownAfterJobFinishes=YES, ttlSecondsAfterFinished=COUNT, backoffLimit=COUNT,
        rayClusterSpec=closed(
            ["rayVersion", "headGroupSpec", "workerGroupSpecs"], rayVersion=TEXT, authOptions=closed(["mode"], mode={"enum": ["disabled", "token"]}),
            headGroupSpec=closed(["rayStartParams", "template"], rayStartParams=PARAMETERS, template=TEMPLATE),
            workerGroupSpecs={"type": "array", "items": closed(["groupName", "rayStartParams", "template"], groupName=TEXT, replicas=COUNT,
                              minReplicas=COUNT, maxReplicas=COUNT, rayStartParams=PARAMETERS, template=TEMPLATE)},
        ),
    ),
)  # fmt: skip
"""The fields of KubeRay's ray.io/v1 RayJob that the file uses, with their types."""


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def test_the_file_for_ray_up_has_ray_s_own_schema() -> None:
    place = importlib.util.find_spec(
        "ray"
    )  # loading Ray here would decide for the other tests how it is loaded
    assert place is not None
    assert place.origin is not None
    config = read("aws.yaml")
    jsonschema.validate(
        config, json.loads((Path(place.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    )
    assert config["head_node_type"] in config["available_node_types"]
    starts = [*config["head_start_ray_commands"], *config["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in c for c in starts if "ray start" in c), "a cluster without a token"
    assert not any("0.0.0.0" in c for c in starts)


def test_the_rayjob_uses_fields_that_exist_and_a_token() -> None:
    job = read("rayjob.yaml")
    jsonschema.validate(job, RAYJOB)
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**job, "spec": {**job["spec"], "entrypiont": "x"}}, RAYJOB)


def test_the_rayjob_calls_a_command_that_there_is() -> None:
    from click.testing import CliRunner

    from vsr.cli.main import cli

    command = read("rayjob.yaml")["spec"]["entrypoint"].split()
    assert command[:2] == ["vsr", "run"]
    outcome = CliRunner().invoke(cli, [*command[1:], "--help"])
    assert outcome.exit_code == 0, outcome.output


def test_the_image_has_what_it_copies_and_both_files_name_it_and_its_ray() -> None:
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
    (version,) = re.findall(r"ray\[[a-z,]+\]==([0-9.]+)", text)
    assert read("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == version
    images = {
        read("aws.yaml")["docker"]["image"],
        *re.findall(r"image: (\S+)", (FOLDER / "rayjob.yaml").read_text()),
    }
    assert len(images) == 1
    assert images.pop() in text
