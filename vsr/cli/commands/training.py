"""The commands `dataset` and `train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.option_types import FilePath, FiniteRange
from vsr.cli.options import read_options, show_events
from vsr.cli.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["dataset", "train"]


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=FilePath(), metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=FilePath(),
    metavar="DIR",
    help="Folder of the data set; an unfinished one is resumed.",
)
@click.option(
    "--config",
    type=FilePath(),
    metavar="NAME|FILE",
    help="Settings: default, real, restoration, shipped, or a TOML file.",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting, such as degrade.clean=0.8; may be repeated.",
)
@click.option(
    "--teacher",
    default="",
    metavar="MODEL",
    help="Network: its output on the degraded footage is used as ground truth.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Number of worker processes; default: 2, or those of --cluster local:N.",
)
@click.option("--cluster", metavar="ADDRESS", help="Use a Ray cluster: local[:N], auto, or HOST:PORT.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output.")
def dataset(
    inputs: tuple[Path, ...],
    output: Path,
    config: Path | None,
    changes: tuple[str, ...],
    teacher: str,
    workers: int | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Make training pairs from videos, images or folders of them.

    \b
    Example: vsr dataset holiday.mp4 photos/ -o pairs --config default
    """
    from pipelines.datasets.builder import make_dataset
    from pipelines.datasets.settings import DatasetSettings
    from vsr.presets import config_file

    settings = read_options(DatasetSettings, config and config_file(config, "dataset"), changes)
    made = make_dataset(inputs, output, settings, teacher=teacher, workers=workers, cluster=cluster)
    show_events(_with_hint(made), as_json=as_json)


def _with_hint(events: Iterable[Any]) -> Iterator[Any]:
    """Events of `make_dataset`, and a note if it made few pairs."""
    from pipelines.datasets.events import DatasetDone, few_pairs

    for event in events:
        yield event
        if isinstance(event, DatasetDone) and (note := few_pairs(event.train_pairs)) is not None:
            yield note


@click.command()
@click.argument("config", required=False, type=FilePath(), metavar="[CONFIG]")
@click.option(
    "--data",
    multiple=True,
    type=FilePath(),
    metavar="DIR",
    help="Data set made by `vsr dataset`; may be repeated.",
)
@click.option(
    "--per-title",
    type=FilePath(),
    metavar="INPUT",
    help=("Fine-tune a network on this film, instead of --data; the result is kept only if it is better."),
)
@click.option("--init", default="", metavar="MODEL", help="Name or file of a network to start from.")
@click.option(
    "--minutes",
    type=FiniteRange(0.05),
    help=(
        "Duration of the whole training in minutes, instead of the number of steps in CONFIG; default with"
        " --per-title: 10, not counting the preparation of the film. With --resume, a larger number extends"
        " the training."
    ),
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help=(
        "Change one setting, such as steps=5000; may be repeated. With --resume, a larger number of steps"
        " extends the training."
    ),
)
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    metavar="DIR",
    help="Output folder; default: the network's name, or FILM.tuned.",
)
@click.option("--resume", is_flag=True, help="Resume from the checkpoint in the output folder.")
@click.option("--cluster", metavar="ADDRESS", help="Train on a Ray cluster: local[:N], auto, or HOST:PORT.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Number of data-parallel processes; default: those of --cluster local:N, else 1.",
)
@click.option(
    "--cpus-per-worker",
    type=FiniteRange(0, min_open=True),
    metavar="N",
    help=(
        "CPU cores for each worker of a cluster. Default: 1; with --cluster local, all cores divided by the"
        " number of workers."
    ),
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Device to train on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line on standard output.")
def train(
    config: Path | None,
    data: tuple[Path, ...],
    per_title: Path | None,
    init: str,
    minutes: float | None,
    changes: tuple[str, ...],
    output: Path | None,
    resume: bool,
    device: str,
    as_json: bool,
    **shared: Any,
) -> None:
    """Train a network on data sets, or fine-tune one on a film.

    \b
    Example: vsr train fast-x2 --data pairs -o trained --minutes 60
             vsr train --per-title film.mp4 --init fast-x2 --minutes 10
    If interrupted, run the command again with --resume; the result is the same, bit for bit.
    The output folder always contains the best network so far.
    """
    if not as_json:
        click.echo("loads the training libraries", err=True)
    from models.errors import UsageError
    from pipelines.inference.device import choose_device
    from pipelines.objectives.settings import TrainSettings
    from pipelines.training.fine_tuning import tune
    from pipelines.training.train import train as train_network
    from vsr.presets import config_file

    where = choose_device(device).type
    with Signals("stopping after the current step") as signals:
        if per_title is not None:
            given = {
                "CONFIG": config,
                "--data": data,
                "--set": changes,
                **{f"--{name.replace('_', '-')}": value for name, value in shared.items()},
            }
            if odd := [name for name, value in given.items() if value]:
                raise UsageError(f"--per-title takes everything from the film; leave out {', '.join(odd)}")
            folder = output or Path(f"{per_title.stem}.tuned")
            events = tune(
                per_title,
                folder,
                init=init or "fast-x2",
                minutes=minutes,
                resume=resume,
                device=where,
                stop=signals.stop.is_set,
            )
            show_events(events, as_json=as_json, signals=signals, advises=False)
            return
        if config is None or not data:
            raise UsageError(
                "vsr train: expected a CONFIG such as fast-x2 or a TOML file and --data DIR, or"
                " --per-title INPUT"
            )
        settings = read_options(
            TrainSettings,
            config_file(config, "train"),
            (*changes, f"init={json.dumps(init)}") if init else changes,
        )
        folder = output or Path(settings.name)
        events = train_network(
            settings,
            data,
            folder,
            resume=resume,
            device=where,
            stop=signals.stop.is_set,
            minutes=minutes,
            **shared,
        )
        show_events(events, as_json=as_json, signals=signals)
