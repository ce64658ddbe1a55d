"""`PairPlanner`: scans the files of a unit and yields the `PairOrder`s of its pairs, in order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from models.errors import MediaError, UsageError
from models.layers.resampling import resample
from pipelines.datasets.crop_selection import CropHistory, CropPosition, choose_crops, round_trip_db
from pipelines.datasets.degradation import draw_degradation
from pipelines.datasets.pair_maker import Motion, PairOrder, draw_motion
from pipelines.datasets.recompression import Coding, coding_of
from pipelines.datasets.validation_split import hold_out
from pipelines.frames.sample_values import SampleValues
from pipelines.frames.shot_detection import shots
from pipelines.frames.video_reader import VideoReader
from pipelines.probe.probe import probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.datasets.settings import DatasetSettings
    from pipelines.datasets.validation_split import ShotSegment

__all__ = ["PairPlanner"]


_SOFTNESS_BLOCK_PX = 128
_TURNS = (0, 1, 4, 5)
"""Rotations stored in pairs; flipping up and down, which is exact for left-sited chroma, is left to the
reader."""


def _even(x: float) -> int:
    return round(x / 2) * 2


class PairPlanner:
    """Planned pairs of one unit, with statistics of the scan."""

    def __init__(
        self,
        files: tuple[Path, ...],
        settings: DatasetSettings,
        rng: np.random.Generator,
        *,
        held: frozenset[str],
        prefix: str,
        taught: bool,
    ) -> None:
        """held: fingerprints of images that are held out. prefix: how the keys of its pairs begin.

        taught: whether a teacher makes the ground truth; crops then have the size of the input.
        """
        self._files, self._settings, self._rng, self._held, self._prefix = files, settings, rng, held, prefix
        self._side = settings.truth_px // settings.scale if taught else settings.truth_px
        self.seen = CropHistory([])
        self.described: list[dict[str, Any]] = []
        """Name, fingerprint and findings of each file used."""
        self.left_out: list[tuple[str, str]] = []
        """Unreadable images, with reasons."""
        self.done = 0
        self.total = len(files)
        self._count = 0
        self._every = settings.every_frames

    def tasks(self) -> Iterator[PairOrder]:
        """Tasks in order; raises MediaError if the file of a video can't be read.

        Unreadable images are skipped.
        """
        infos = []
        for path in self._files:
            try:
                infos.append(VideoReader(probe(path)))
            except MediaError as error:
                if len(self._files) == 1:
                    raise
                self.left_out.append((path.name, str(error)))
        if len(infos) == 1 and not infos[0].info.is_picture:
            yield from self._video_tasks(infos[0])
        else:
            yield from self._picture_tasks(infos)

    def _describe(self, reader: VideoReader, **more: Any) -> None:
        info = reader.info
        name = info.path.replace("\\", "/").rpartition("/")[2]
        self.described.append(
            {
                "name": name,
                "sha256": info.fingerprint,
                "size": [info.width, info.height],
                "codec": info.codec,
                **more,
            }
        )

    def _picture_tasks(self, pictures: list[VideoReader]) -> Iterator[PairOrder]:
        for reader in pictures:
            frame = next(reader.frames(1), None)
            self.done += 1
            if frame is None:
                continue
            luma = reader.codes(frame).luma[0]
            crisp = self._shrink(luma, reader.bits)
            split = "validation" if reader.info.fingerprint in self._held else "train"
            self._describe(reader, split=split, shrink=crisp)
            rgb = reader.rgb(frame)
            for lap in range(self._settings.passes if split == "train" else 1):
                shrink = self._rescaled(crisp, luma, lap)
                for place in self._choose(luma, reader.bits, shrink):
                    source, region = self._region(rgb, place, shrink)
                    record = {
                        "source": reader.info.fingerprint[:16],
                        "frame": 0,
                        "place": [place.top, place.left],
                        "region": region,
                        "matrix": 5,
                    }
                    yield self._task(
                        source, split, shrink, draw_motion(self._settings.motion, self._rng), record, None
                    )

    def _region(
        self, rgb: torch.Tensor, place: CropPosition, shrink: float
    ) -> tuple[torch.Tensor, list[int]]:
        """Return the area that the camera may move over, and its [top, left].

        The position is in scaled pixels.
        """
        motion, length = self._settings.motion, self._settings.frames + self._settings.context_frames
        reach = 8 + round(
            length * (motion.pan_px + self._side * (motion.zoom + np.deg2rad(motion.turn_degrees)))
        )
        top, left = max(0, place.top - reach), max(0, place.left - reach)
        height = min(place.top + self._side + reach, int(rgb.shape[-2] / shrink)) - top
        width = min(place.left + self._side + reach, int(rgb.shape[-1] / shrink)) - left
        first = int(top * shrink), int(left * shrink)
        piece = rgb[
            ..., first[0] : first[0] + round(height * shrink), first[1] : first[1] + round(width * shrink)
        ]
        return piece.clone(), [top, left]

    def _video_tasks(self, reader: VideoReader) -> Iterator[PairOrder]:
        if reader.info.interlaced:
            raise MediaError(
                f"{reader.info.path}: is interlaced; its fields would be learned as detail: deinterlace it"
                " first"
            )
        settings = self._settings
        found = shots((np.asarray(f.planes[0]) for f in reader.frames()), reader.pixels.bits)
        stretches = hold_out(found, settings.validation, reader.info.fingerprint)
        self.total = found[-1][1] if found else 0
        # The pairs of a long film are taken from all its parts, not from its beginning.
        self._every = max(
            1,
            max(settings.every_frames, self.total * settings.crops.per_frame // settings.most_pairs)
            // settings.passes,
        )
        coding = coding_of(reader.info) if settings.degrade.crf == "like-source" else None
        held = [[s.start, s.stop] for s in stretches if s.split == "validation"]
        self._describe(reader, shots=len(found), frames=self.total, held=held)
        window: deque[SampleValues] = deque(maxlen=settings.frames + settings.context_frames)
        upcoming = deque(stretches)
        crisp = 0
        for number, frame in enumerate(reader.frames()):
            self.done = number + 1
            while upcoming and number >= upcoming[0].stop:
                upcoming.popleft()
                window.clear()
            if not upcoming or number < upcoming[0].start or self._count >= self._most:
                continue
            window.append(reader.codes(frame))
            lap = self._lap(number - upcoming[0].start, len(window), upcoming[0])
            if lap is None:
                continue
            luma = window[-1].luma[0]
            crisp = crisp or self._shrink(luma, reader.bits)
            yield from self._tasks_of_frame(
                reader, window, upcoming[0].split, self._rescaled(crisp, luma, lap), coding
            )

    def _lap(self, place: int, held: int, stretch: ShotSegment) -> int | None:
        """The pass that examines a frame, if one does.

        Each takes one frame in `every_frames`, beginning when the window is full; short shots give their last
        frame.
        """
        settings = self._settings
        length = stretch.stop - stretch.start
        need = min(length, settings.frames + settings.context_frames)
        if held < need or held < settings.frames:
            return None
        looked, between = divmod(place - (need - 1), self._every)
        lap = looked % settings.passes
        return lap if between == 0 and (lap == 0 or stretch.split == "train") else None

    def _tasks_of_frame(
        self,
        reader: VideoReader,
        window: deque[SampleValues],
        split: str,
        shrink: float,
        coding: Coding | None,
    ) -> Iterator[PairOrder]:
        luma = window[-1].luma[0]
        height, width = luma.shape  # even
        side = min(_even(self._side * shrink), height, width)
        for place in self._choose(luma, reader.bits, shrink):
            top, left = (
                min(_even(place.top * shrink), height - side),
                min(_even(place.left * shrink), width - side),
            )
            pieces = [c.crop(top, left, side, side) for c in window]
            clip = SampleValues(
                np.concatenate([p.luma for p in pieces]),
                np.concatenate([p.chroma for p in pieces]),
                reader.bits,
            )
            record = {
                "source": reader.info.fingerprint[:16],
                "frame": self.done - 1,
                "place": [place.top, place.left],
                "matrix": int(reader.tags.matrix),
            }
            yield self._task(clip, split, shrink, Motion(), record, coding)
            if self._count >= self._most:
                return

    @property
    def _most(self) -> int:
        return self._settings.most_pairs * self._settings.passes

    def _rescaled(self, crisp: int, luma: np.ndarray, lap: int) -> float:
        """Factor by which an (H,W) source is scaled down in a pass.

        It is `crisp` in the first pass, and random in later ones, but never too small for a crop.
        """
        if not lap:
            return crisp
        least, most = self._settings.rescale
        least = max(least, crisp * self._side / min(luma.shape))
        return round(crisp / self._rng.uniform(least, most), 4) if least < most else crisp

    def _choose(self, luma: np.ndarray, bits: int, shrink: float) -> list[CropPosition]:
        if shrink > 1:
            x = torch.from_numpy(luma.astype(np.float32))
            small = resample(
                x, int(x.shape[0] / shrink) // 2 * 2, int(x.shape[1] / shrink) // 2 * 2, "bicubic"
            )
            luma = small.round().clamp(0, (1 << bits) - 1).numpy().astype(luma.dtype)
        return choose_crops(luma, bits, self._side, self._settings.crops, self.seen, self._rng)

    def _shrink(self, luma: np.ndarray, bits: int) -> int:
        """Factor that makes the sharpest tenth of a source crisp at pixel size: 1, 2 or 4."""
        if self._settings.shrink:
            return self._settings.shrink
        factor, x = 1, torch.from_numpy(luma.astype(np.float32))
        while factor < 4 and min(x.shape) >= 2 * max(self._side, _SOFTNESS_BLOCK_PX):
            side = _SOFTNESS_BLOCK_PX
            blocks = [
                round_trip_db(x[t : t + side, c : c + side].numpy(), bits)
                for t in range(0, x.shape[0] - side + 1, 2 * side)
                for c in range(0, x.shape[1] - side + 1, 2 * side)
            ]
            if np.percentile(blocks, 10) <= self._settings.soft_db:
                break
            factor *= 2
            x = resample(x, x.shape[0] // 2 // 2 * 2, x.shape[1] // 2 // 2 * 2, "bicubic")
        return factor

    def _task(
        self,
        source: SampleValues | torch.Tensor,
        split: str,
        shrink: float,
        motion: Motion,
        record: dict[str, Any],
        coding: Coding | None,
    ) -> PairOrder:
        settings = self._settings
        turn = int(self._rng.choice(_TURNS)) if settings.turn else 0
        if settings.degrade.crf == "like-source" and coding is None:
            raise UsageError(
                'degrade.crf = "like-source": pictures have no stream of their own to be like; give a range'
                " such as [17, 32]"
            )
        degradation = draw_degradation(settings.degrade, self._rng, coding)
        self._count += 1
        key = f"{self._prefix}{self._count:06d}"
        level = settings.degrade.levels
        return PairOrder(
            key,
            split,
            source,
            self._side,
            shrink,
            turn,
            motion,
            settings.frames,
            settings.context_frames,
            degradation,
            record,
            level,
        )
