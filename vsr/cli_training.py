"""Commands of the training stage: `dataset`, `train`, `evaluate`, and `models add`; each a few lines over one library call."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["add_model", "dataset", "evaluate", "export", "models_table", "train"]


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT...")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder of the data set; an unfinished one goes on."
)
@click.option("--config", type=click.Path(path_type=Path), help="Settings from a TOML file, such as configs/dataset/default.toml.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="One setting, such as degrade.clean=0.8; may be repeated.")
@click.option("--teacher", default="", metavar="MODEL", help="A network that makes the truth from footage that has none.")
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", help="Pairs made side by side; default: 2, or those of --cluster local:N.")
@click.option("--cluster", metavar="ADDRESS", help="Make them on a Ray cluster: local[:N], auto, or HOST:PORT.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
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
    """Make training pairs from videos, pictures or folders of them.

    \b
    Example: vsr dataset holiday.mp4 photos/ -o pairs --config configs/dataset/default.toml
    """
    from pipelines.dataset import DatasetSettings, make_dataset

    settings = _read(DatasetSettings, config, changes)
    _show(make_dataset(inputs, output, settings, teacher=teacher, workers=workers, cluster=cluster), as_json=as_json)


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path), metavar="[CONFIG]")
@click.option("--data", multiple=True, type=click.Path(path_type=Path), metavar="DIR", help="A data set made by vsr dataset; may be repeated.")
@click.option(
    "--per-title", type=click.Path(path_type=Path), metavar="INPUT", help="Instead: tune a network on this very film, and keep it if it wins."
)
@click.option("--init", default="", metavar="MODEL", help="Name or file of a network to start from.")
@click.option("--minutes", type=click.FloatRange(0.05), help="Of training, in place of CONFIG's steps; with --per-title: 10 by default.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="One setting, such as steps=5000; may be repeated.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the result; default: the network's name, or FILM.tuned."
)
@click.option("--resume", is_flag=True, help="Go on from the folder's checkpoint.")
@click.option("--cluster", metavar="ADDRESS", help="Train on a Ray cluster: local[:N], auto, or HOST:PORT.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes that share every batch; default: those of local:N, else 1.")
@click.option("--cpus-per-worker", type=click.FloatRange(0, min_open=True), metavar="N", help="Of a cluster; default: 1, or this machine shared out.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where it computes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
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
    """Train a network on data sets, or tune one on a film.

    \b
    Example: vsr train configs/train/fast-x2.toml --data pairs -o trained --minutes 60
             vsr train --per-title film.mp4 --init fast-x2 --minutes 10
    Interrupted, the same command with --resume goes on where it was, bit for bit; DIR has the best network so far.
    """
    from models.errors import UsageError
    from pipelines.device import choose_device
    from pipelines.recipe import TrainSettings
    from pipelines.title import tune
    from pipelines.train import train as train_network

    where = choose_device(device).type
    with Signals("stopping after the step under way") as signals:
        if per_title is not None:
            given = {"CONFIG": config, "--data": data, "--set": changes, **{f"--{name.replace('_', '-')}": value for name, value in shared.items()}}
            if odd := [name for name, value in given.items() if value]:
                raise UsageError(f"--per-title takes everything from the film; leave out {', '.join(odd)}")
            folder = output or Path(f"{per_title.stem}.tuned")
            events = tune(per_title, folder, init=init or "fast-x2", minutes=minutes or 10.0, resume=resume, device=where, stop=signals.stop.is_set)
            _show(events, as_json=as_json, signals=signals)
            return
        if config is None or not data:
            raise UsageError("vsr train: expected a CONFIG such as configs/train/fast-x2.toml and --data DIR, or --per-title INPUT")
        settings = _read(TrainSettings, config, (*changes, f"init={json.dumps(init)}") if init else changes)
        folder = output or Path(settings.name)
        events = train_network(settings, data, folder, resume=resume, device=where, stop=signals.stop.is_set, minutes=minutes, **shared)
        _show(events, as_json=as_json, signals=signals)


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--data", multiple=True, required=True, type=click.Path(path_type=Path), help="Folder of pictures, video, or data set; may be repeated."
)
@click.option("--case", "cases", multiple=True, metavar="CASE", help="clean (default), h264-23 (CODEC-QUALITY), noise-10, blur-1.5; may be repeated.")
@click.option("--scale", type=click.IntRange(1, 16), help="Only this scale; default: all that the models have.")
@click.option(
    "--metric",
    "names",
    multiple=True,
    type=click.Choice(["psnr", "ssim", "flicker", "niqe", "energy", "vmaf", "lpips", "dists"]),
    help="Default: psnr, ssim and, of videos, flicker.",
)
@click.option("--niqe-model", default="", metavar="FILE", help="BasicSR's niqe_pris_params.npz, for --metric niqe.")
@click.option(
    "--lpips-weights", multiple=True, metavar="FILE", help="For --metric lpips, twice: its linear heads, and AlexNet or VGG16 of torchvision."
)
@click.option("--dists-weights", multiple=True, metavar="FILE", help="For --metric dists, twice: its weights.pt, and VGG16 of torchvision.")
@click.option("--frames", type=click.IntRange(1), default=48, show_default=True, help="At most so many frames of a video.")
@click.option("--limit", type=click.IntRange(0), default=0, help="At most so many pictures of a folder; 0: all.")
@click.option("--bf16", is_flag=True, help="Run networks in bf16, as on a CPU with AMX.")
@click.option("--strips", default="", metavar="DIR", help="Write pictures there: input, Lanczos, model, truth.")
@click.option("--grid", is_flag=True, help="Data sets by cases, as a second table of the first metric.")
@click.option(
    "--format", "style", type=click.Choice(["terminal", "markdown", "json"]), default="terminal", show_default=True, help="How the table is written."
)
def evaluate(
    models: tuple[str, ...],
    data: tuple[Path, ...],
    cases: tuple[str, ...],
    scale: int | None,
    names: tuple[str, ...],
    grid: bool,
    style: str,
    **options: Any,
) -> None:
    """Judge networks on pictures, videos or data sets, beside bicubic and Lanczos.

    \b
    Example: vsr evaluate fast-x2 --data Set5 --data Urban100 --format markdown
             vsr evaluate fast quality --scale 2 --data film.mp4 --case clean --case h264-23 --metric vmaf --grid
    """
    from models.errors import UsageError
    from pipelines.evaluate import DEFAULT_METRICS, EvaluateSettings, Judged
    from pipelines.evaluate import evaluate as evaluate_models
    from pipelines.scores import as_grid, as_table

    if grid and style == "json":
        raise UsageError("--grid is a table for people; --format json has every figure by set and case as it is")
    settings = EvaluateSettings(scale=scale, cases=cases or ("clean",), metrics=names or DEFAULT_METRICS, **options)
    rows = []
    drawn = sys.stderr.isatty()
    for event in evaluate_models(models, data, settings):
        if isinstance(event, Judged):
            if drawn:
                click.echo(f"\r\x1b[K{event.set} {event.case} {event.item} {event.model}", nl=False, err=True)
        else:
            rows.append(event)
    if drawn:
        click.echo("\r\x1b[K", nl=False, err=True)
    click.echo(as_table(rows, style))
    if grid:
        first = {"vmaf": "vmaf_neg"}.get(settings.metrics[0], settings.metrics[0])
        click.echo("\n" + as_grid(rows, style, first))


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Default: NAME.onnx here.")
@click.option("--size", nargs=2, type=click.IntRange(1), metavar="WIDTH HEIGHT", help="Of the input, for tools that want it fixed; default: any.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def export(model: str, output: Path | None, size: tuple[int, int] | None, overwrite: bool, as_json: bool) -> None:
    """Write a network as ONNX (fp32), for other tools; MODEL is a name of `vsr models` or a weights file.

    YUV-native networks have inputs luma (0..1 from black to white) and chroma (-0.5..0.5, half the size), others rgb. The file's
    metadata tells the rest. Where onnxruntime is installed, its values are compared with torch's.

    Example: vsr export fast-x2 -o fast-x2.onnx
    """
    from dataclasses import asdict

    from models.catalog import find
    from models.errors import UsageError
    from pipelines.onnx_file import write_onnx

    found = find(model)
    if len(found) > 1:
        raise UsageError(f"{model}: which of {', '.join(c.name for c in found)}?")
    path = output or Path(f"{found[0].name}.onnx")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: is already there; give --overwrite to replace it, or another -o")
    made = write_onnx(found[0], path, size=size)
    if as_json:
        click.echo(json.dumps(asdict(made)))
        return
    click.echo(f"{made.path}: {made.bytes / 1e6:.2f} MB")
    for kind, shapes in (("input", made.inputs), ("output", made.outputs)):
        for name, shape in shapes.items():
            click.echo(f"  {kind} {name} ({', '.join(map(str, shape))})")
    if made.difference is None:
        click.echo("  not compared with torch: onnxruntime is not installed")
    else:
        click.echo(f"  onnxruntime's values lie within {made.difference:.1e} of torch's")


@click.command(name="add")
@click.argument("source", metavar="FILE|URL")
@click.option("--sha256", default="", help="Of the file; must be given for an address.")
@click.option("--name", default="", help="What to call it; default: the file's own name. -xSCALE is added.")
def add_model(source: str, sha256: str, name: str) -> None:
    """Keep a weights file as a network that --model finds by name.

    Example: vsr models add film-x2.safetensors --name film
    """
    from pipelines.adopt import adopt

    card = adopt(source, name=name, sha256=sha256)
    click.echo(f"{card.name}: x{card.scale}, {card.architecture}, {card.parameters / 1e3:.0f} K parameters, kept as {card.path}")


@click.command(name="table")
@click.option("--data", multiple=True, required=True, type=click.Path(path_type=Path), help="Folder of pictures, for all networks; may be repeated.")
@click.option("--clip", "clips", multiple=True, type=click.Path(path_type=Path), help="Video, for fast, quality and recurrent; may be repeated.")
@click.option("--picture", type=click.Path(path_type=Path), help="Video (its middle) or picture that each network gets a strip of.")
@click.option("--speed/--no-speed", default=True, help="Measure speed, on a machine that does nothing else; or keep what OUTPUT says.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where speed is measured.")
@click.option("--limit", type=click.IntRange(0), default=0, help="At most so many pictures of a set; 0: all.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it there, such as docs/models.md; default: standard output.")
def models_table(
    data: tuple[Path, ...], clips: tuple[Path, ...], picture: Path | None, speed: bool, device: str, limit: int, output: Path | None
) -> None:
    """Measure all shipped networks, and tell as Markdown: size, cost, speed here, scores, a picture of each.

    Example: vsr models table --data Set5 --data Urban100 --picture film.mp4 -o docs/models.md
    """
    from pipelines.atomic_file import write_atomically
    from pipelines.device import choose_device
    from pipelines.overview import OverviewSettings, overview

    earlier = None if speed else (output.read_text(encoding="utf-8") if output is not None and output.exists() else "")
    images = output.parent / "networks" if output is not None else None
    text = overview(OverviewSettings(data, clips, picture, images, choose_device(device).type, earlier, limit))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_atomically(output, text.encode(errors="replace"))


def _read(kind: type[Any], config: Path | None, changes: tuple[str, ...]) -> Any:
    """Settings of a file with single keys changed; values are TOML, or plain text."""
    from models.errors import UsageError
    from pipelines.settings import build_settings, merge, read_settings

    overrides: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change}: expected KEY=VALUE")
        try:
            overrides[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            overrides[key.strip()] = text.strip()
    if config is None:
        return build_settings(kind, merge({}, overrides), "--set")
    return read_settings(kind, config, overrides)


def _show(events: Iterable[Any], *, as_json: bool, signals: Signals | None = None) -> None:
    """Draw events as they come."""
    from models.errors import Interrupted
    from vsr.training_view import JsonView, TerminalView

    view: Any = JsonView() if as_json else TerminalView()
    try:
        for event in events:
            view.show(event)
    except Interrupted as error:
        raise (signals.translated(error) if signals is not None else error) from None
    finally:
        view.close()
