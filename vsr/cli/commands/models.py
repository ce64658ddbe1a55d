"""Commands about networks: `models` and its subcommands, `export`, `quantize`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vsr.cli.command_group import CommandGroup
from vsr.cli.commands.known_models import get_models, model_info, search_models
from vsr.cli.option_types import FilePath
from vsr.cli.terminal import echo

__all__ = ["add_model", "export", "models", "quantize", "remove_model"]


@click.group(invoke_without_command=True, cls=CommandGroup)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the installed networks by purpose: name, scales, thousands of parameters.

    A name without a scale, such as quality, uses the scale that a film needs; quality-x2 always doubles.

    Example: vsr models
    """
    if ctx.invoked_subcommand is not None:
        return
    import dataclasses
    import json

    from models.catalog.lookup import cards, default_model
    from models.catalog.purposes import by_purpose, description

    if as_json:
        for card in cards():
            echo(json.dumps(dataclasses.asdict(card)))
        return
    best, groups = {default_model(), default_model(on_gpu=True)}, by_purpose(cards())
    widest = max(len(family[0].family) for families in groups.values() for family in families)
    for heading, families in groups.items():
        echo(f"{heading}:")
        for family in families:
            scales = " ".join(f"x{card.scale}" for card in family) if family[0].path else "any"
            count = f"{max(card.parameters for card in family) / 1e3:.0f} K" if family[0].parameters else "-"
            mark = "*" if family[0].family in best else " "
            echo(f"{mark} {family[0].family:<{widest}}  {scales:<8}  {count:>7}  {description(family[0])}")
    echo(
        f"* the default: {default_model()} on a CPU, {default_model(on_gpu=True)} with a GPU; docs/models.md"
        " has scores and pictures"
    )


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("-o", "--output", type=FilePath(), metavar="FILE", help="Default: NAME.onnx here.")
@click.option(
    "--size",
    nargs=2,
    type=click.IntRange(1),
    metavar="WIDTH HEIGHT",
    help="Fixed input size, for tools that need one; default: any.",
)
@click.option(
    "--restore",
    type=click.FloatRange(0, 1),
    metavar="0..1",
    help="Restoration level built into the exported network, for networks with restoration levels.",
)
@click.option(
    "--detail",
    type=click.FloatRange(0, 1),
    metavar="0..1",
    help="From faithful (0) to crisp (1), for networks that support it; default: as in a run at that level.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def export(
    model: str,
    output: Path | None,
    size: tuple[int, int] | None,
    restore: float | None,
    detail: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write a network as ONNX (fp32), for other tools; MODEL is a name of `vsr models` or a weights file.

    YUV-native networks have inputs luma (0..1 from black to white) and chroma (-0.5..0.5, half the size),
    other networks have one input, rgb. The file's metadata (keys vsr.*) gives scale, value ranges, size
    multiple, halo, and the number of neighbouring frames. If onnxruntime is installed, its output is compared
    with torch's.

    Example: vsr export fast-x2 -o fast-x2.onnx
    """
    from dataclasses import asdict

    from models.catalog.lookup import find_cards
    from models.errors import UsageError
    from pipelines.model_files.onnx_export import write_onnx
    from pipelines.settings.run_settings import detail_at

    found = find_cards(model)
    if len(found) > 1:
        raise UsageError(f"{model}: is ambiguous; name one of {', '.join(c.name for c in found)}")
    path = output or Path(f"{found[0].name}.onnx")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: already exists; give --overwrite to replace it, or another -o")
    if detail is None:
        detail = detail_at(restore or 0.0, "auto")
    made = write_onnx(found[0], path, size=size, restore=restore, detail=detail)
    if as_json:
        echo(json.dumps(asdict(made)))
        return
    echo(f"{made.path}: {made.bytes / 1e6:.2f} MB")
    for kind, shapes in (("input", made.inputs), ("output", made.outputs)):
        for name, shape in shapes.items():
            echo(f"  {kind} {name} ({', '.join(map(str, shape))})")
    if made.difference is None:
        echo("  not compared with torch: onnxruntime is not installed")
    else:
        echo(f"  onnxruntime's values lie within {made.difference:.1e} of torch's")


@click.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=FilePath(),
    help="Calibration images or videos, similar to the ones to be upscaled; may be repeated.",
)
@click.option(
    "--judge",
    multiple=True,
    type=FilePath(),
    help="Images or videos to measure the loss of quality; default: those of --data.",
)
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    metavar="FILE",
    help="Output file, a .safetensors; default: the network's own file.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def quantize(
    model: str,
    data: tuple[Path, ...],
    judge: tuple[Path, ...],
    output: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Add 8-bit integer layers to a network, for --precision int8.

    MODEL is a name from `vsr models`, or a .safetensors file written by vsr. The integer layers are
    calibrated on the --data files and stored in the same file as the network's weights, which stay unchanged.
    For a network with restoration levels, the reported loss is the largest over all levels.

    Example: vsr quantize film-x2.safetensors --data pictures/ --judge Set5
    """
    import shutil
    from dataclasses import asdict

    from models.catalog.loader import load_network
    from models.catalog.lookup import find_cards
    from models.errors import UsageError
    from pipelines.model_files.quantization import add_integers, calibration_frames, with_integer_layers
    from pipelines.model_files.quantization import quantize as quantize_network
    from pipelines.plan.output_names import refuse_place
    from pipelines.quality.rounding_cost import ramps_db, rounding_cost

    found = find_cards(model)
    if len(found) > 1:
        raise UsageError(f"{model}: is ambiguous; name one of {', '.join(c.name for c in found)}")
    if found[0].architecture not in {"compact", "restoring"}:
        raise UsageError(
            f"{model}: is of the architecture {found[0].architecture}; 8-bit integers are for compact and"
            " restoring, as fast, quality and real are"
        )
    path = output or Path(found[0].path)
    if output is not None and (output.suffix != ".safetensors" or (output.exists() and not overwrite)):
        raise UsageError(
            f"{output}: already exists, or does not end in .safetensors; give another -o, or --overwrite to"
            " replace it"
        )
    refuse_place("-o", output, (*data, *judge))
    network = load_network(found[0])
    frames = calibration_frames(data, found[0].scale)
    layers = quantize_network(network.module, frames)  # type: ignore[arg-type]
    ways = with_integer_layers(network, layers)
    costs = [rounding_cost(way, judge or data) for way in ways]
    cost = max(costs, key=lambda cost: cost.cost_db)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".safetensors", ".toml"):
            shutil.copyfile(Path(found[0].path).with_suffix(suffix), output.with_suffix(suffix))
    judged = ", ".join(p.name for p in judge or data)
    add_integers(
        path,
        layers,
        {
            "cost_db": round(cost.cost_db, 4),
            "near_db": round(cost.near_db, 2),
            "judged": judged,
            "count": cost.count,
            "ramps_db": round(min(ramps_db(way) for way in ways), 2),
        },
    )
    if as_json:
        echo(json.dumps({"path": str(path), **asdict(cost)}))
    else:
        echo(
            f"{path}: 8-bit integers cost {cost.cost_db:.3f} dB of PSNR on {judged}, {cost.near_db:.1f} dB"
            " from fp32"
        )


@click.command(name="add")
@click.argument("source", metavar="FILE|URL")
@click.option("--sha256", default="", help="SHA-256 of the file; required for a URL.")
@click.option(
    "--name", default="", help="Name of the network; default: the name of the file. -xSCALE is added."
)
@click.option(
    "--licence",
    default="",
    metavar="NAME",
    help="Licence of the weights, such as CC-BY-4.0; not needed for files listed by `vsr models search`.",
)
@click.option(
    "--commercial", type=click.Choice(["yes", "no"]), help="Whether the licence allows commercial use."
)
def add_model(source: str, sha256: str, name: str, licence: str, commercial: str | None) -> None:
    """Install a weights file as a network for --model.

    Example: vsr models add film-x2.safetensors --name film
    """
    from pipelines.model_files.install import install_model

    facts = {key: value for key, value in (("licence", licence), ("commercial", commercial)) if value}
    card = install_model(source, name=name, sha256=sha256, facts=facts)
    echo(
        f"{card.name}: x{card.scale}, {card.architecture}, {card.parameters / 1e3:.0f} K parameters, kept as"
        f" {card.path}; {card.terms}"
    )


@click.command(name="remove")
@click.argument("name", metavar="NAME")
def remove_model(name: str) -> None:
    """Delete a network installed by `vsr models add` or `get`.

    Example: vsr models remove film-x2
    """
    from pipelines.model_files.install import remove

    for path in remove(name):
        echo(f"{path}: deleted")


for _command in (search_models, model_info, get_models, add_model, remove_model):
    models.add_command(_command)
