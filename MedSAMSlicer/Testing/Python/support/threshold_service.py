"""Deterministic services for tests of inference clients and workers; some of them fail on a signal.

`ThresholdService` segments the pixels of at least 128 inside the box; in colour, those whose red is. Its subclasses behave differently on slices
whose upper left pixel is `SIGNAL`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from MedSAMSlicerLib.engine.errors import InputError, WeightsError
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice, RunInfo
from MedSAMSlicerLib.engine.prompts import Box, SlicePrompt, StackPrompt, as_slice_prompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.stack import SliceSource

FOLDER = Path(__file__).resolve().parents[1]
"""Import path of `support`, for processes that load one of these services."""
SIGNAL = 99


class ThresholdService:
    """Follows bright pixels from the lowest key slice upwards, then downwards, as far as there are any."""

    def __init__(self) -> None:
        self.loaded: ModelChoice | None = None
        self.loads = 0
        self.encoded: set[bytes] = set()

    def load(self, choice: ModelChoice) -> LoadedModel:
        if choice.model == "no-such-model":
            raise InputError("model 'no-such-model' is unknown: choose litemedsam")
        if choice.weights is not None:
            raise WeightsError(f"weights {choice.weights} are missing: import them")
        if choice != self.loaded:
            self.loads += 1
            self.loaded = choice
        return LoadedModel(choice.model, "0" * 64, "cpu", "test")

    def preview(self, choice: ModelChoice, image: np.ndarray, prompt: Box | SlicePrompt) -> Prediction:
        self.encode(choice, image)
        given = as_slice_prompt(prompt)
        if given.points is not None:
            raise InputError("the threshold service was not trained for points: give a box")
        mask = bright_inside(image, given.box or Box.of_slice(*image.shape[:2]))
        if given.mask is not None and given.mask.mask is not None:
            mask &= given.mask.mask
        return Prediction(mask, image.mean() / 255, _grey(image)[::2, ::2].astype(np.float32))

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        self.load(choice)
        self.encoded.add(image.tobytes())

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        info.loaded = self.load(choice)
        first, last = prompt.slice_range or (0, source.shape[0] - 1)
        boxes = {index: given.box for index, given in prompt.slices.items() if given.box is not None}
        lowest = min(prompt.slices)
        for indices in (range(lowest, last + 1), range(lowest - 1, first - 1, -1)):
            box = boxes[lowest]
            for index in indices:
                box = boxes.get(index, box)
                image = source.slice_uint8(index)
                self.compute(image)
                mask = bright_inside(image, box if prompt.box3d is None else box.intersection(prompt.box3d) or box)
                info.timings.decoder_calls += 1
                info.timings.decode += 0.25
                if prompt.slice_range is None and not mask.any():
                    break
                share = float(np.float32(mask.mean()))
                yield SliceResult(index, mask, box, share, 1 - share, bool(share > 0.5), index in prompt.slices)
        info.notes.append(f"loaded {self.loads} times")

    def compute(self, image: np.ndarray) -> None:
        """Called for each slice of a run, where a network would compute."""

    def clear_cache(self) -> None:
        self.encoded.clear()


def bright_inside(image: np.ndarray, box: Box) -> np.ndarray:
    image = _grey(image)
    mask = np.zeros(image.shape, bool)
    rows, columns = slice(int(box.y0), int(box.y1) + 1), slice(int(box.x0), int(box.x1) + 1)
    mask[rows, columns] = image[rows, columns] >= 128
    return mask


def _grey(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image[..., 0]


def signalled(image: np.ndarray) -> bool:
    return int(image[0, 0]) == SIGNAL


class SlowService(ThresholdService):
    """Takes 20 ms a slice, and 0.3 s to encode one ahead."""

    def compute(self, image: np.ndarray) -> None:
        time.sleep(0.02)

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        time.sleep(0.3 if signalled(image) else 0)


class EncodingService(ThresholdService):
    """Takes 50 ms to encode a slice, once each; the first note of a run has the checksums of all encoded slices."""

    def __init__(self) -> None:
        super().__init__()
        self.checksums: list[int] = []

    def compute(self, image: np.ndarray) -> None:
        if image.tobytes() not in self.encoded:
            time.sleep(0.05)
            self.encoded.add(image.tobytes())
            self.checksums.append(zlib.crc32(image.tobytes()))

    def segment(
        self, choice: ModelChoice, source: SliceSource, prompt: StackPrompt, info: RunInfo
    ) -> Iterator[SliceResult]:
        yield from super().segment(choice, source, prompt, info)
        info.notes.insert(0, " ".join(map(str, self.checksums)))


class UninterruptibleService(ThresholdService):
    """Computes for a minute on a signal, without checking for a cancel."""

    def compute(self, image: np.ndarray) -> None:
        if signalled(image):
            time.sleep(60)


class PrintingService(ThresholdService):
    """Prints in every way there is, and reads standard input."""

    def compute(self, image: np.ndarray) -> None:
        print("a progress bar of some library 42%")  # noqa: T201
        sys.stdout.write("a line without an end")
        sys.__stdout__.write("and one to the first standard output\n")
        os.write(1, b"\x00\x01printed by compiled code\n")
        subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)
        assert sys.stdin.read() == ""
        assert os.read(0, 10) == b""


class CrashingService(ThresholdService):
    """Ends its process on a signal, after writing to standard error."""

    def compute(self, image: np.ndarray) -> None:
        if signalled(image):
            print("driver: device lost\n  at some address\nfatal: giving up", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(3)


class OutOfMemoryService(ThresholdService):
    """Runs out of memory on a signal, with the errors of the CPU's and the GPU's libraries."""

    def compute(self, image: np.ndarray) -> None:
        if signalled(image):
            raise MemoryError

    def encode(self, choice: ModelChoice, image: np.ndarray) -> None:
        if signalled(image):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\n(GPU 0; 7.79 GiB total capacity)")
        super().encode(choice, image)


class RaisingService(ThresholdService):
    """Raises an unexpected error on a signal."""

    def compute(self, image: np.ndarray) -> None:
        if signalled(image):
            raise ValueError("operands could not be broadcast together\nwith shapes (3,) (4,)")


def unimportable() -> ThresholdService:
    import a_package_that_nobody_has  # noqa: F401

    raise AssertionError


class ImageStack:
    """A uint8 (slices, rows, columns) array as slices for a model; records which were read."""

    spacing = (3.0, 0.8, 0.7)

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.read: list[int] = []

    @property
    def shape(self) -> tuple[int, int, int]:
        slices, rows, columns = self.images.shape
        return (slices, rows, columns)

    def slice_uint8(self, index: int) -> np.ndarray:
        self.read.append(index)
        return self.images[index]


def noise_stack(slices: int = 8, rows: int = 20, columns: int = 30, signal_on: int | None = None) -> ImageStack:
    """Noise, with the signal in the corner of one slice."""
    images = np.random.default_rng(3).integers(0, 256, (slices, rows, columns), dtype=np.uint8)
    images[:, 0, 0] = 0
    if signal_on is not None:
        images[signal_on, 0, 0] = SIGNAL
    return ImageStack(images)
