"""What is told of a failure, on its way from a worker."""

from __future__ import annotations

import pytest
import torch

from models.errors import MediaError, NoMemoryError, ResourceError
from pipelines.pool.interface import Task, as_told, exhausted


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
def test_memory_that_ran_out_is_told_as_that_wherever_it_did(error: BaseException) -> None:
    """Cases 53 and 54."""
    assert type(as_told(error)) is NoMemoryError
    assert type(exhausted(Task(0, "a task", None), NoMemoryError("x"))) is NoMemoryError


def test_a_broken_device_is_not_taken_for_one_that_is_too_small() -> None:
    """Case 55."""
    told = as_told(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert type(told) is ResourceError
    assert type(exhausted(Task(0, "a task", None), told)) is ResourceError


def test_what_was_foreseen_stays_and_a_bug_brings_its_traceback() -> None:
    foreseen = MediaError("no film")
    assert as_told(foreseen) is foreseen
    told = as_told(ZeroDivisionError("oops"))
    assert type(told) is RuntimeError
    assert "ZeroDivisionError: oops" in str(told)
