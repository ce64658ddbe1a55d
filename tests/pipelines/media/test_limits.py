"""No decoder is opened without limits, and all decoders are opened in one place. Case 75."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from pipelines.media.demuxer import DECODERS, MAX_PIXELS, film_decoder, open_decoder, open_memory, open_source
from tests import media
from tests.helpers.command import ROOT

OPENERS = {"open_decoder", "film_decoder", "packet_decoder", "result_decoder"}
"""Functions that give a decoder within limits."""
OTHERS = {
    "os.fsdecode(os.fspath(path)).encode('utf-8', 'backslashreplace')",
    "self._vae",
    "self",
}
"""What else has a method `decode`: text and networks."""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _is_of_text(call: ast.Call) -> bool:
    """It names a codec of text, or what to do with bytes that are none."""
    names_one = any(isinstance(a, ast.Constant) and isinstance(a.value, str) for a in call.args)
    return names_one or any(k.arg == "errors" for k in call.keywords)


def unlimited(tree: ast.AST) -> list[str]:
    """Where a module decodes by anything but a `decoder` that an opener gave, or opens one itself."""
    wrong = []
    own = {
        id(n)
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef) and f.name == "open_decoder"
        for n in ast.walk(f)
    }
    for call in calls(tree):
        if id(call) in own:
            continue
        name = ast.unparse(call.func)
        receiver = name.removesuffix(".decode")
        if (
            receiver != name
            and receiver not in {"decoder", "self._decoder", *OTHERS}
            and not receiver.startswith(("base64.", "b85encode(", "zlib.", "os.fsencode(", "library."))
            and not _is_of_text(call)
        ):
            wrong.append(f"{call.lineno}: {ast.unparse(call)}")
        if name.endswith("CodecContext.create") and ast.unparse(call.args[1]) != "'w'":
            wrong.append(f"{call.lineno}: {ast.unparse(call)}")
        reads = name == "av.open" and not any(
            isinstance(a, ast.Constant) and a.value == "w" for a in call.args[1:2]
        )
        if reads and not any(k.arg == "options" and ast.unparse(k.value) == "GUARDS" for k in call.keywords):
            wrong.append(f"{call.lineno}: {ast.unparse(call)}")
    decoders = {"decoder"} | {
        "self._decoder" for call in calls(tree) if ast.unparse(call.func) == "self._decoder.decode"
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or id(node) in own:
            continue
        names = [n for t in node.targets for n in (t.elts if isinstance(t, ast.Tuple) else [t])]
        made = {ast.unparse(c.func).rpartition(".")[2] for c in calls(node.value)}
        if decoders & set(map(ast.unparse, names)) and not made & OPENERS:
            wrong.append(f"{node.lineno}: {ast.unparse(node)}")
    return wrong


def test_a_decoder_without_limits_would_be_found() -> None:
    """Case 75: the next test is not blind."""
    for text in (
        "for f in container.decode(video=0): pass",
        "packet.decode()",
        "stream.codec_context.decode(None)",
        "av.CodecContext.create('h264', 'r')",
        "av.open(path)",
        "av.open(io.BytesIO(data), 'r')",
        "decoder = stream.codec_context\ndecoder.decode(packet)",
        "self._decoder = stream.codec_context\nself._decoder.decode(packet)",
    ):
        assert unlimited(ast.parse(text)), text


@pytest.mark.parametrize("package", ["models", "pipelines", "vsr"])
def test_there_is_one_way_to_a_decoder(package: str) -> None:
    """Case 75: options given to `av.open` do not reach a stream's decoder, so every one is opened by a
    function that sets them on it.
    """
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        wrong = unlimited(ast.parse(path.read_text(encoding="utf-8")))
        if wrong:
            found[name] = wrong
    assert not found


def test_a_limit_holds_in_the_decoder_itself(tmp_path: Path) -> None:
    """Case 75: of a stream's own decoder, of one that is opened by name, and of a file in memory."""
    source = media.cfr(tmp_path / "in.mp4", frames=2)
    with open_source(source) as container:
        stream, decoder = film_decoder(container, 0)
        assert int(decoder.options["max_pixels"]) == MAX_PIXELS
        assert set(decoder.options["codec_whitelist"].split(",")) >= DECODERS
        packets = [p for p in container.demux(stream) if p.size]
        by_name = open_decoder("h264", most_pixels=1000)
        by_name.extradata = stream.codec_context.extradata
    for of in (by_name, None):
        with open_memory(source.read_bytes()) as container:
            decoder = of or open_decoder(container.streams.video[0], most_pixels=1000)
            with pytest.raises((av.error.FFmpegError, ValueError)):
                for packet in [*packets, None]:
                    decoder.decode(packet)


def test_a_decoder_that_is_not_listed_does_not_open() -> None:
    """Case 76: by name neither."""
    with pytest.raises(av.error.FFmpegError):
        open_decoder("magicyuv").open()
