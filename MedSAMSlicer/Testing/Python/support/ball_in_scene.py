"""A volume with a ball in a scene, segments for it, runs over it and what they report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer

from MedSAMSlicerLib.engine.errors import MedSAMError
from MedSAMSlicerLib.engine.intensity import Window
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.prompts import Box, StackPrompt
from MedSAMSlicerLib.engine.results import SliceResult, StackResult
from MedSAMSlicerLib.scene.editing.segmentation_run import SegmentationRun
from MedSAMSlicerLib.scene.volume.slice_stack import SliceStack
from MedSAMSlicerLib.scene.worker.progress import Progress
from support.in_process_client import Client
from support.threshold_service import SIGNAL

SHAPE = (9, 12, 14)
WINDOW = Window(0, 255, "as it is")
BOX = Box(2, 2, 11, 9)
PROMPT = StackPrompt({4: BOX}, (1, 7))


@dataclass
class CallbackRecorder:
    """What a run reported to its owner."""

    progress: list[Progress] = field(default_factory=list)
    slices: list[SliceResult] = field(default_factory=list)
    finished: list[StackResult] = field(default_factory=list)
    failed: list[MedSAMError] = field(default_factory=list)

    @property
    def callbacks(self) -> dict[str, Callable[[Any], None]]:
        """Arguments of a `SegmentationRun`."""
        return {
            "on_progress": self.progress.append,
            "on_slice": self.slices.append,
            "on_finished": self.finished.append,
            "on_failed": self.failed.append,
        }

    @property
    def over(self) -> bool:
        assert len(self.finished) + len(self.failed) <= 1
        return bool(self.finished or self.failed)

    @property
    def done(self) -> int:
        return self.progress[-1].done if self.progress else 0


def step_until(condition: Callable[[], bool], step: Callable[[], None]) -> None:
    """Call `step` until the condition holds; fail after 15 s."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < 15, "the run did not end"
        step()


def ball(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """(k, j, i) uint8 values: an ellipsoid of 200 in 20."""
    inside = sum(((n - (size - 1) / 2) / (0.32 * size)) ** 2 for n, size in zip(np.indices(shape), shape, strict=True))
    return np.where(inside <= 1, 200, 20).astype(np.uint8)


class BallInScene:
    """A scene with a ball in a volume, a segment "tumour" for it and a segment "neighbour"."""

    def __init__(self, scene_builder: Any, client: Client, segment_in: Any, geometry: str = "oblique") -> None:
        self.scene_builder, self.client, self._segment_in = scene_builder, client, segment_in
        self.voxels = ball()
        self.volume = scene_builder.volume_in(geometry)
        slicer.util.arrayFromVolume(self.volume)[:] = self.voxels
        self.volume.GetImageData().Modified()
        self.segmentation = scene_builder.segmentation(self.volume, "tumour", "neighbour")
        self.before = self.fingerprint()

    @property
    def truth(self) -> np.ndarray:
        return self.voxels >= 128

    def stack(self, axis: str = "K") -> SliceStack:
        return SliceStack(self.volume, axis)

    def signal(self, k: int) -> None:
        """Have the engine do on slice `k` along K whatever it does on a signal."""
        slicer.util.arrayFromVolume(self.volume)[k, 0, 0] = SIGNAL

    def segment(self, name: str = "tumour") -> np.ndarray:
        """(k, j, i) bool: the segment in the volume's voxels."""
        return self._segment_in(self.segmentation, name, self.volume)

    def nodes_of_class(self, class_name: str) -> list[Any]:
        """The nodes of a class in the scene."""
        scene = self.scene_builder.scene
        return [scene.GetNthNodeByClass(n, class_name) for n in range(scene.GetNumberOfNodesByClass(class_name))]

    def fingerprint(self) -> list[Any]:
        """All that the segmentation holds, to the last bit."""
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

    def start(self, recorder: CallbackRecorder, prompt: StackPrompt = PROMPT, **options: Any) -> SegmentationRun:
        """A run along K with the reported events recorded."""
        choice = options.pop("choice", ModelChoice())
        return SegmentationRun(self.client, self.stack(), prompt, WINDOW, choice, **{**recorder.callbacks, **options})

    def run(self, prompt: StackPrompt = PROMPT, **options: Any) -> CallbackRecorder:
        """A run from its start to its end."""
        recorder = CallbackRecorder()
        run = self.start(recorder, prompt, **options)
        self.wait(lambda: recorder.over)
        assert not run.running
        return recorder

    def wait(self, condition: Callable[[], bool]) -> None:
        step_until(condition, self.client.step)
