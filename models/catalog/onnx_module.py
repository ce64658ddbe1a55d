"""`OnnxModule`: an ONNX file as a module, run by the first onnxruntime provider with correct results."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from models.errors import MediaError, UsageError
from models.layers.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "OnnxModule",
    "TensorLayout",
    "first_line",
    "open_session",
    "providers",
    "random_input",
    "tensor_layout_of",
]


_MOST_BYTES = 2 << 30
_LEFT = (0.0, -0.25)
"""Position of left-sited chroma, (vertical, horizontal)."""
_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(uint8)": torch.uint8}
_NO_EXTERNAL_DATA = (
    "session.model_external_initializers_file_folder_path",
    os.path.join(os.sep, "nonexistent"),
)
"""Makes onnxruntime look for external weights in a folder that doesn't exist."""
_FASTEST_FIRST = {
    "cuda": ("CUDAExecutionProvider",),
    "xpu": ("OpenVINOExecutionProvider",),
    "mps": ("CoreMLExecutionProvider",),
    "cpu": ("OpenVINOExecutionProvider", "DmlExecutionProvider"),  # of builds that somebody chose to install
}
_BY_NAME = {
    "cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider", "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}  # fmt: skip
_CPU = _BY_NAME["cpu"]
_ALIKE = 1 / 255
"""Largest difference between a device's values and those of the CPU; a device that is further off is not
used."""


def providers(device: str, available: Sequence[str], wanted: str = "") -> list[str]:
    """Execution providers for a torch device, in order of preference; the CPU's is always the last.

    wanted: a name given by `VSR_ONNX_PROVIDER` (cpu, cuda, tensorrt, openvino, coreml, directml) instead.
    TensorRT is used only if named: it chooses its kernels by timing, so results may differ between workers.
    Raises UsageError if the provider is not installed.
    """
    if wanted:
        name = _BY_NAME.get(wanted.lower(), "")
        if name not in available:
            there = ", ".join(short for short, long in _BY_NAME.items() if long in available)
            raise UsageError(
                f"VSR_ONNX_PROVIDER={wanted}: this onnxruntime has {there}; install the one for your device,"
                " or unset the variable"
            )
        return list(dict.fromkeys([name, _CPU]))
    return [*(p for p in _FASTEST_FIRST.get(device, ()) if p in available), _CPU]


@dataclass(frozen=True)
class TensorLayout:
    """Layout of the inputs and outputs of an ONNX file."""

    kind: str
    """rgb, luma (chroma is resized classically), or planes (as vsr exports them: luma, chroma, optionally a
    state)."""
    dtype: torch.dtype
    frames: int = 1
    """Number of frames in the luma input."""
    state: int = 0
    """Channels of the hidden state."""
    fixed: tuple[int, int] | None = None
    """Height and width, if the file fixes them."""


def open_session(data: bytes, shown: str, names: list[str]) -> Any:
    """Open an onnxruntime session with these providers. Raises MediaError for an unreadable file."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            f"{shown}: ONNX files need onnxruntime; install vsr with its extra: pip install '.[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(*_NO_EXTERNAL_DATA)
    try:
        return onnxruntime.InferenceSession(data, options, providers=names)
    except Exception as error:
        raise MediaError(f"{shown}: onnxruntime can't read it ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """First line of an error's message, or the name of its class."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def tensor_layout_of(session: Any, shown: str) -> TensorLayout:
    """Determine the form of a session. Raises MediaError if it has none of the known ones."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    said = ", ".join(f"{i.name} {i.type[7:-1]} {tuple(i.shape)}" for i in inputs)
    if any(i.type not in _TYPES or len(i.shape) != 4 for i in (*inputs, *outputs)):
        raise MediaError(f"{shown}: expected inputs and outputs (N,C,H,W) of float or uint8; it takes {said}")
    by_name = {i.name: i for i in inputs}
    if len(inputs) == len(outputs) == 1:
        channels = inputs[0].shape[1]
        if channels not in {1, 3}:
            raise MediaError(
                f"{shown}: expected an input of three channels (R'G'B') or one (luma); it takes {said}"
            )
        sides = inputs[0].shape[2:]
        fixed = tuple(sides) if all(isinstance(n, int) for n in sides) else None
        return TensorLayout("rgb" if channels == 3 else "luma", _TYPES[inputs[0].type], fixed=fixed)  # type: ignore[arg-type]
    if list(by_name) in (["luma", "chroma"], ["luma", "chroma", "state"]) and len(outputs) == len(inputs):
        frames, chroma = by_name["luma"].shape[1], by_name["chroma"].shape[1]
        state = by_name["state"].shape[1] if "state" in by_name else 0
        sides = by_name["luma"].shape[2:]
        if (
            isinstance(frames, int)
            and chroma == 2 * frames
            and isinstance(state, int)
            and not all(isinstance(n, int) for n in sides)
        ):
            return TensorLayout("planes", torch.float32, frames=frames, state=state)
    raise MediaError(
        f"{shown}: expected one input (N,C,H,W), or luma and chroma of any size as `vsr export` writes them;"
        f" it takes {said}"
    )


class OnnxModule(nn.Module):
    """A session as a module: R'G'B' in and out, or planes."""

    def __init__(self, path: str, *, probing: bool = False) -> None:
        """probing: run on the CPU, in a sandboxed process."""
        super().__init__()
        size = os.path.getsize(path)
        if size > _MOST_BYTES:
            raise MediaError(f"{path}: is {size} bytes long; expected at most 2 GiB")
        self._path, self._data = path, Path(path).read_bytes()
        self._sessions: dict[str, Any] = {}
        self.notes: list[str] = []
        self._wanted = "cpu" if probing else os.environ.get("VSR_ONNX_PROVIDER", "")
        plain = open_session(self._data, path, [_CPU])
        self.form = tensor_layout_of(plain, path)
        self.metadata: dict[str, str] = plain.get_modelmeta().custom_metadata_map
        if probing:
            self._sessions["cpu"] = plain
        self.scale, self.multiple, self.margin = 1, 1, 0

    def _on(self, device: str) -> Any:
        """Return the session for a device, after checking it against the CPU's."""
        if device not in self._sessions:
            import onnxruntime

            names = providers(device, onnxruntime.get_available_providers(), self._wanted)
            made = open_session(self._data, self._path, names)
            if names[0] != _CPU:
                made = self._tried(made, names[0])
            self._sessions[device] = made
        return self._sessions[device]

    def _tried(self, session: Any, name: str) -> Any:
        """Return the session if its values equal those of the CPU, else the CPU's session."""
        plain = open_session(self._data, self._path, [_CPU])
        torch.manual_seed(0)
        feeds = {i.name: random_input(i, self.form.fixed or (64, 64)) for i in plain.get_inputs()}
        with_name = [torch.from_numpy(o).float() for o in session.run(None, feeds)]
        without = [torch.from_numpy(o).float() for o in plain.run(None, feeds)]
        unit = 255 if self.form.dtype is torch.uint8 else 1
        if all(bool(((a - b).abs() <= _ALIKE * unit).all()) for a, b in zip(with_name, without, strict=True)):
            return session
        self.notes.append(
            f"{Path(self._path).name}: {name} gives other values than the CPU, which is used instead"
        )
        return plain

    def prepare(self, device: torch.device) -> list[str]:
        """Create the session for a device before the first frame; returns notes for the user."""
        self._on(device.type)
        return self.notes

    @property
    def facts(self) -> dict[str, str]:
        """Facts about the runtime that affect output bits."""
        import onnxruntime

        return {
            "onnxruntime": (
                f"{onnxruntime.__version__}"
                f" {' '.join(sorted({s.get_providers()[0] for s in self._sessions.values()}))}"
            )
        }

    def run(self, *tensors: Tensor) -> list[Tensor]:
        """Run float tensors on the device of the first one; values are 0..1, also if the file has uint8."""
        device = tensors[0].device
        session = self._on(device.type)
        feeds = {}
        for known, tensor in zip(session.get_inputs(), tensors, strict=True):
            kind = _TYPES[known.type]
            given = (tensor * 255).round().clamp(0, 255) if kind is torch.uint8 else tensor
            feeds[known.name] = given.detach().to("cpu", kind).contiguous().numpy()
        made = [torch.from_numpy(array) for array in session.run(None, feeds)]
        return [(m.float() / 255 if m.dtype is torch.uint8 else m.float()).to(device) for m in made]

    def picture(self, x: Tensor) -> Tensor:
        """(1,C,H,W) -> (1,C,SH,SW), also if the file fixes its input size.

        Frames are then processed in windows that overlap by the margin.
        """
        if self.form.fixed is None:
            return self.run(x)[0]
        (height, width), scale = self.form.fixed, self.scale
        rows, columns = x.shape[-2:]
        x = nn.functional.pad(x, (0, max(0, width - columns), 0, max(0, height - rows)), mode="replicate")
        out = x.new_empty(*x.shape[:2], x.shape[-2] * scale, x.shape[-1] * scale)
        for top, first_row in _starts(x.shape[-2], height, self.margin):
            for left, first_column in _starts(x.shape[-1], width, self.margin):
                made = self.run(x[..., top : top + height, left : left + width])[0]
                kept = made[..., (first_row - top) * scale :, (first_column - left) * scale :]
                out[
                    ...,
                    first_row * scale : (top + height) * scale,
                    first_column * scale : (left + width) * scale,
                ] = kept
        return out[..., : rows * scale, : columns * scale]

    def _each(self, batch: Tensor) -> Tensor:
        made = [self.picture(batch[n : n + 1]) for n in range(batch.shape[0])]
        return made[0] if len(made) == 1 else torch.cat(made)

    def forward(self, x: Any, state: Tensor | None = None) -> Any:
        """Process R'G'B' (B,3,H,W), or (luma, chroma) and optionally a state."""
        if self.form.kind == "rgb":
            return self._each(x)
        luma, chroma = x
        if self.form.kind == "luma":
            large = self._each(luma)
            height, width = chroma.shape[-2] * self.scale, chroma.shape[-1] * self.scale
            return large, resample(chroma, height, width, "lanczos", offset=_LEFT)
        if not self.form.state:
            return tuple(self.run(luma, chroma))
        before = (
            luma.new_zeros(luma.shape[0], self.form.state, *chroma.shape[-2:]) if state is None else state
        )
        luma, chroma, after = self.run(luma, chroma, before)
        return (luma, chroma), after


def random_input(known: Any, sides: tuple[int, int]) -> Any:
    """A random image for an input."""
    half = known.name in {"chroma", "state"}
    values = torch.rand(1, known.shape[1], *(n // 2 if half else n for n in sides))
    kind = _TYPES[known.type]
    return ((values * 255).to(kind) if kind is torch.uint8 else values.to(kind)).numpy()


def _starts(length: int, window: int, margin: int) -> list[tuple[int, int]]:
    """(start of a window, first position that is used from it), so that each position is used once."""
    found = [(0, 0)]
    while found[-1][0] + window < length:
        begin = min(found[-1][0] + window - 2 * margin, length - window)
        found.append((begin, found[-1][0] + window - margin))
    return found
