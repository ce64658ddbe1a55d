"""A worker that notes when its first chunk begins."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipelines.workers.chunk_worker import ChunkUpscaler
from pipelines.workers.messages import SpanTask


class Begun(ChunkUpscaler):
    """Writes the time of this machine's monotonic clock to the file VSR_BENCH_BEGUN, once."""

    def run(self, task: SpanTask, pieces: Iterable[list[Any]]) -> Iterator[Any]:
        """As the usual one."""
        with (
            contextlib.suppress(FileExistsError),
            open(Path(os.environ["VSR_BENCH_BEGUN"]), "x", encoding="utf-8") as file,
        ):
            file.write(str(time.monotonic()))
        yield from super().run(task, pieces)
