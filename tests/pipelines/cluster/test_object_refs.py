"""The budget of the object store, without a cluster."""

from __future__ import annotations

import importlib.util

import pytest

from tests.helpers.command import python

if importlib.util.find_spec("ray") is None:  # not imported here: a private cluster must load it first
    pytest.skip("Ray is not installed", allow_module_level=True)

PROGRAM = """
from types import SimpleNamespace

from pipelines.cluster import object_refs


class Call:
    feeding = set()

    def feed(self, number, task):
        return [b"x" * 300]


object_refs._store_bytes = lambda: 1000.0
object_refs.ray.put = lambda data: data
refs, call, task = object_refs.ObjectRefs(), Call(), SimpleNamespace(key=3)
held = []
for _ in range(2):  # a task that is lost twice
    parts, size, pieces, feed = refs.first(call, task)
    run = SimpleNamespace(call=call, task=task, parts=parts, size=size, pieces=None, feed=None)
    refs.keep(run)
    refs.release(run)
    held.append(refs._held - size)
refs.forget(call)
print(held, refs._held, size > 300)
"""


def test_inputs_that_are_kept_for_a_second_try_count_as_held() -> None:
    assert python(PROGRAM).stdout == "[0, 0] 0 True\n"
