"""ONNX files as networks: which are accepted or refused, and that values equal onnxruntime's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from models.catalog import onnx_module
from models.catalog.loader import load_network
from models.catalog.lookup import find_cards
from models.catalog.onnx_module import providers
from models.catalog.onnx_reader import describe
from models.errors import MediaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TYPES = {
    "float": onnx.TensorProto.FLOAT,
    "uint8": onnx.TensorProto.UINT8,
    "float16": onnx.TensorProto.FLOAT16,
}


def written(
    path: Path, *, channels: int = 3, scale: int = 2, dtype: str = "float", sides: Sequence[int | str] = ("h", "w"), multiple: int = 1, taps: int = 5,
    outputs: int = 0,
) -> Path:  # fmt: skip
    """A convolution of `taps` by `taps`, then as many pixels as the scale asks for.

    On pixels shuffled by `multiple`.
    """
    helper, rng = onnx.helper, np.random.default_rng(0)
    deep = channels * multiple**2
    made = (outputs or channels) * (scale * multiple) ** 2
    weights = (rng.standard_normal((made, deep, taps, taps)) / deep / taps**2 + 1 / deep / taps**2).astype(
        np.float32
    )
    nodes, last = [], "x"

    def add(kind: str, *inputs: str, **attributes: Any) -> None:
        nonlocal last
        last = f"t{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [last], **attributes))

    if dtype != "float":
        add("Cast", last, to=TYPES["float"])
    if dtype == "uint8":
        add("Mul", last, "unit")
    if multiple > 1:
        add("SpaceToDepth", last, blocksize=multiple)
    add("Conv", last, "w", pads=[taps // 2] * 4)
    add("DepthToSpace", last, blocksize=scale * multiple, mode="CRD")
    if dtype == "uint8":
        add("Mul", last, "full")
        add("Round", last)
        add("Clip", last, "zero", "full")
    if dtype != "float":
        add("Cast", last, to=TYPES[dtype])
    nodes[-1].output[0] = "y"
    numbers = {"w": weights, "unit": np.float32(1 / 255), "full": np.float32(255), "zero": np.float32(0)}
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TYPES[dtype], ["n", channels, *sides])],
        [helper.make_tensor_value_info("y", TYPES[dtype], ["n", outputs or channels, "oh", "ow"])],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in numbers.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def alone(path: Path, x: np.ndarray) -> np.ndarray:
    """What onnxruntime by itself makes of it."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]  # type: ignore[no-any-return]


def test_a_file_is_described_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Case 91: scale, sides and halo are measured."""
    (card,) = find_cards(str(written(tmp_path / "net.onnx", scale=3)))
    assert (card.architecture, card.scale, card.pixels, card.settings["size_multiple"]) == (
        "onnx",
        3,
        "rgb",
        1,
    )
    assert card.halo_px is not None
    assert 2 <= card.halo_px <= 8


@pytest.mark.parametrize(("dtype", "tolerance"), [("float", 0.0), ("uint8", 0.0), ("float16", 1e-3)])
def test_values_are_those_of_onnxruntime_alone(tmp_path: Path, dtype: str, tolerance: float) -> None:
    path = written(tmp_path / "net.onnx", dtype=dtype)
    x = torch.rand(2, 3, 20, 30)
    network = load_network(describe(str(path)))
    made = network.module(x)  # type: ignore[arg-type, call-arg]
    given = (
        (x * 255).round().to(torch.uint8)
        if dtype == "uint8"
        else x.to(getattr(torch, "float32" if dtype == "float" else dtype))
    )
    expected = torch.from_numpy(alone(path, given.numpy())).float() / (255 if dtype == "uint8" else 1)
    assert (made - expected).abs().max() <= tolerance  # type: ignore[operator]


def test_a_network_of_luma_leaves_chroma_to_a_classical_scaler(tmp_path: Path) -> None:
    card = describe(str(written(tmp_path / "net.onnx", channels=1)))
    assert card.pixels == "yuv420"
    luma, chroma = torch.rand(1, 1, 20, 30), torch.zeros(1, 2, 10, 15)
    large, wide = load_network(card).module((luma, chroma))
    assert torch.equal(large, torch.from_numpy(alone(tmp_path / "net.onnx", luma.numpy())))
    assert wide.shape == (1, 2, 20, 30)
    assert not wide.any()


def test_sides_that_the_network_needs_are_found(tmp_path: Path) -> None:
    assert describe(str(written(tmp_path / "net.onnx", multiple=4))).settings["size_multiple"] == 4


@pytest.mark.parametrize("size", [(48, 64), (40, 40), (100, 130), (20, 24)])
def test_a_file_of_a_fixed_size_sees_any_picture_through_windows(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Case 91: away from the border of the picture, as if it had any size."""
    fixed, free = (
        written(tmp_path / f"{name}.onnx", sides=sides)
        for name, sides in (("fixed", (48, 64)), ("free", ("h", "w")))
    )
    x = torch.rand(1, 3, *size)
    made = load_network(describe(str(fixed))).module(x)  # type: ignore[arg-type, call-arg]
    expected = load_network(describe(str(free))).module(x)  # type: ignore[arg-type, call-arg]
    assert made.shape == expected.shape  # type: ignore[attr-defined]
    inner = (..., slice(8, -8), slice(8, -8))
    assert torch.allclose(made[inner], expected[inner], atol=1e-6)  # type: ignore[index]


def test_the_number_of_threads_does_not_shape_bits(tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx", taps=9)
    x, made = torch.rand(1, 3, 64, 64), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            made.append(load_network(describe(str(path))).module(x))  # type: ignore[arg-type, call-arg]
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*made)  # type: ignore[arg-type]


def test_what_is_no_network_of_pictures_is_refused(tmp_path: Path) -> None:
    """Case 91."""
    (tmp_path / "junk.onnx").write_bytes(b"no file of onnx")
    with pytest.raises(MediaError, match="is not a network we can load .*onnxruntime can't read it"):
        find_cards(str(tmp_path / "junk.onnx"))
    with pytest.raises(
        MediaError, match="expected an input of three channels .* or one .luma.; it takes x float"
    ):
        describe(str(written(tmp_path / "two.onnx", channels=2)))
    with pytest.raises(MediaError, match="expected it enlarged by a whole factor"):
        describe(str(written(tmp_path / "six.onnx", outputs=6)))


def test_weights_in_another_file_are_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 91: a file that names another one, which it might have no business to read."""
    monkeypatch.chdir(tmp_path)  # where onnxruntime would look
    model = onnx.load(written(tmp_path / "net.onnx"))
    onnx.save(
        model, tmp_path / "split.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert (tmp_path / "weights.bin").exists()
    with pytest.raises(MediaError, match="onnxruntime can't read it"):
        describe(str(tmp_path / "split.onnx"))


def test_a_file_that_changed_is_not_run(tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx")
    card = describe(str(path))
    written(path, taps=3)
    with pytest.raises(MediaError, match="changed since it was described"):
        load_network(card)


def test_providers_follow_the_device_and_the_cpu_comes_last() -> None:
    cpu, cuda, trt, coreml = (f"{n}ExecutionProvider" for n in ("CPU", "CUDA", "Tensorrt", "CoreML"))
    assert providers("cpu", [cpu]) == [cpu]
    assert providers("cuda", [trt, cuda, cpu]) == [cuda, cpu]
    assert providers("cuda", [cpu]) == [cpu]
    assert providers("cpu", [coreml, cpu]) == [cpu]
    assert providers("mps", [coreml, cpu]) == [coreml, cpu]
    assert providers("mps", [coreml, cpu], "cpu") == [cpu]
    assert providers("cuda", [trt, cuda, cpu], "tensorrt") == [trt, cpu]
    with pytest.raises(UsageError, match="VSR_ONNX_PROVIDER=openvino: this onnxruntime has cpu, cuda"):
        providers("cpu", [cuda, cpu], "openvino")


def test_a_device_that_gives_other_values_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 91: as a driver may."""
    path = written(tmp_path / "net.onnx")
    card = describe(str(path))
    real = onnx_module.open_session

    class Wrong:
        def __init__(self, session: Any) -> None:
            self.session = session

        def __getattr__(self, name: str) -> Any:
            return getattr(self.session, name)

        def run(self, *given: Any) -> list[np.ndarray]:
            return [y + np.float32(0.1) for y in self.session.run(*given)]

    monkeypatch.setattr(
        onnx_module, "providers", lambda *_: ["CoreMLExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(
        onnx_module,
        "open_session",
        lambda data, shown, names: (
            Wrong(real(data, shown, names[-1:])) if len(names) > 1 else real(data, shown, names)
        ),
    )
    module: Any = load_network(card).module
    x = torch.rand(1, 3, 20, 20)
    assert torch.equal(module(x), torch.from_numpy(alone(path, x.numpy())))
    assert module.notes == [
        "net.onnx: CoreMLExecutionProvider gives other values than the CPU, which is used instead"
    ]
