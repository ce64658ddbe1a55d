"""How a worker's failures are reported to the job."""

from __future__ import annotations

import pytest
import torch

from models.errors import MediaError, NoMemoryError, ResourceError
from pipelines.pool.interface import Task, attempts_exhausted, to_sendable_error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
    ],
    ids=str,
)
def test_memory_that_ran_out_is_reported_as_that_wherever_it_did(error: BaseException) -> None:
    """Cases 53 and 54."""
    assert type(to_sendable_error(error)) is NoMemoryError
    assert type(attempts_exhausted(Task(0, "a task", None), NoMemoryError("x"))) is NoMemoryError


def test_a_broken_device_is_not_taken_for_one_that_is_too_small() -> None:
    """Case 55."""
    told = to_sendable_error(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert type(told) is ResourceError
    assert type(attempts_exhausted(Task(0, "a task", None), told)) is ResourceError


def test_what_was_foreseen_stays_and_a_bug_brings_its_traceback() -> None:
    foreseen = MediaError("no film")
    assert to_sendable_error(foreseen) is foreseen
    told = to_sendable_error(ZeroDivisionError("oops"))
    assert type(told) is RuntimeError
    assert "ZeroDivisionError: oops" in str(told)
