"""A session with all that it works on, and what it tells its owner."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer

from MedSAMSlicerLib.engine.errors import MedSAMError
from MedSAMSlicerLib.engine.intensity import Window
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.results import StackResult
from MedSAMSlicerLib.engine.serving.inference_client import InferenceClient
from MedSAMSlicerLib.scene.editing.session import Session
from MedSAMSlicerLib.scene.worker.progress import Progress
from support.threshold_service import SIGNAL

SHAPE = (9, 12, 14)
WINDOW = Window(0, 255, "as it is")
BOX = Box(2, 2, 11, 9)


@dataclass
class CallbackRecorder:
    """Records the callbacks of a session."""

    progress: list[Progress] = field(default_factory=list)
    finished: list[StackResult] = field(default_factory=list)
    failed: list[MedSAMError] = field(default_factory=list)

    def start(self, session: Session) -> CallbackRecorder:
        session.start(self.progress.append, self.finished.append, self.failed.append)
        return self

    @property
    def over(self) -> bool:
        assert len(self.finished) + len(self.failed) <= 1
        return bool(self.finished or self.failed)

    @property
    def done(self) -> int:
        return self.progress[-1].done


def drive(session: Session, done: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not done():
        assert time.monotonic() - begin < 15, "the session came to no end"
        session.step(0.02)


def ball(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(k, j, i) uint8 values: an ellipsoid of 200 in 20."""
    inside = sum(((n - (size - 1) / 2) / (0.32 * size)) ** 2 for n, size in zip(np.indices(shape), shape, strict=True))
    return np.where(inside <= 1, 200, 20).astype(np.uint8)


class Case:
    """A scene with a ball in a volume, a segment for it, a neighbour in its way, and a session."""

    def __init__(
        self, scene_builder: Any, runner: InferenceClient, segment_in: Any, geometry: str = "oblique", **options: Any
    ) -> None:
        self.scene_builder, self.runner, self._segment_in = scene_builder, runner, segment_in
        self.voxels = ball()
        self.volume = scene_builder.volume_in(geometry)
        slicer.util.arrayFromVolume(self.volume)[:] = self.voxels
        self.volume.GetImageData().Modified()
        self.segmentation = scene_builder.segmentation(self.volume, "tumour", "neighbour")
        self.session = Session(self.volume, self.segmentation, "tumour", runner, WINDOW, **options)
        self.before = self.fingerprint()

    @property
    def truth(self) -> np.ndarray:
        return self.voxels >= 128

    def signal(self, k: int) -> None:
        """Have the engine fail, or whatever it does on a signal, at slice `k` along K."""
        slicer.util.arrayFromVolume(self.volume)[k, 0, 0] = SIGNAL

    def segment(self, name: str = "tumour") -> np.ndarray:
        return self._segment_in(self.segmentation, name, self.volume)

    def fingerprint(self) -> list[Any]:
        """All that a segmentation holds, to the last bit."""
        segmentation = self.segmentation.GetSegmentation()
        parts: list[Any] = [self.segmentation.GetMTime(), segmentation.GetMTime()]
        for index in range(segmentation.GetNumberOfSegments()):
            segment = segmentation.GetNthSegment(index)
            names: list[str] = []
            segment.GetContainedRepresentationNames(names)
            image = segment.GetRepresentation("Binary labelmap")
            array = None
            if image is not None and image.GetPointData().GetScalars() is not None:
                scalars = image.GetPointData().GetScalars()
                array = bytes(memoryview(scalars)) if scalars.GetNumberOfValues() else b""
            parts.append((segment.GetName(), segment.GetMTime(), tuple(names), image and image.GetExtent(), array))
        return parts

    def untouched(self) -> bool:
        return self.fingerprint() == self.before

    def ready(self) -> Case:
        self.session.set_key(4, BOX)
        self.session.reach = (1, 7)
        return self
