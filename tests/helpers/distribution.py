"""How `make test` assigns tests to processes (pytest-xdist): whole files, and all with Ray to one process."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

RAY = frozenset(
    f"tests/{name}.py"
    for name in (
        "end_to_end/test_cluster_hosts",
        "end_to_end/test_ray_job",
        "end_to_end/test_slurm",
        "end_to_end/test_soak",
        "pipelines/cluster/test_ray_pool",
        "pipelines/datasets/test_builder",
        "pipelines/training/test_distributed",
        "vsr/cli/test_cluster",
    )
)
"""Files with tests that start clusters: one after another, for two at a time would share two cores and the memory."""

LONG = tuple(
    f"tests/{name}.py"
    for name in (
        "end_to_end/test_image",
        "vsr/server/test_kills",
        "vsr/server/test_openapi",
        "vsr/server/test_page",
        "pipelines/run/test_real_clips",
        "pipelines/pool/test_process_pool",
        "end_to_end/test_faults",
        "end_to_end/test_interruption",
        "pipelines/run/test_crash",
        "pipelines/run/test_crf_search",
        "pipelines/training/test_train",
    )
)
"""Files of about a minute and more, begun early so that no process waits for another at the end."""


def group(nodeid: str) -> str:
    """What is not divided: a file, or all files with Ray."""
    file = nodeid.partition("::")[0]
    return "ray" if file in RAY else file


def rank(nodeid: str) -> int:
    """Where its file stands in the order of beginning; equal ones stay in the order of collection."""
    file = nodeid.partition("::")[0]
    return 0 if file in RAY else 1 + LONG.index(file) if file in LONG else 1 + len(LONG)


class ByFile(LoadScopeScheduling):
    """Files go to whichever process is free, in the order of `rank`."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # else those with the most tests would come first

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)
