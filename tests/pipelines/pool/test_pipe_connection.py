"""Messages over pipes instead of a socket."""

from __future__ import annotations

import os

import pytest

from pipelines.pool.pipe_connection import PipeConnection


def test_messages_cross_in_order_and_the_end_is_reported_ever_after() -> None:
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    ours = PipeConnection(os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb"))
    theirs = PipeConnection(os.fdopen(theirs_in, "rb"), os.fdopen(theirs_out, "wb"))
    assert not ours.poll(0.01)
    theirs.send(("item", 1, b"x" * 300_000))
    theirs.send("next")
    assert ours.poll(10)
    assert ours.poll(10), "what was looked for stays"
    assert ours.recv() == ("item", 1, b"x" * 300_000)
    ours.send(["back"])
    assert theirs.recv() == ["back"]
    theirs.close()
    assert ours.recv() == "next"
    for _ in range(2):
        with pytest.raises(EOFError):
            ours.recv()
    ours.close()
    with pytest.raises(BrokenPipeError, match="closed"):
        ours.send("to nobody")
    with pytest.raises(EOFError):
        theirs.recv()
