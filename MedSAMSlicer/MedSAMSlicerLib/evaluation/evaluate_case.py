"""Evaluation of one case: simulate the prompt, segment the object, compare it with the truth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..engine.errors import InputError, MedSAMError
from ..engine.inference.predictor import Predictor, load_predictor
from ..engine.intensity import WindowedStack, choose_window
from ..engine.masks import dice, occupied_slices
from ..engine.model_choice import ModelChoice, RunInfo, Timings
from ..engine.prompts import StackPrompt
from ..engine.propagation.propagate import propagate
from ..engine.results import SliceResult
from ..engine.serving.run_log import RunLog
from ..engine.stack import ArrayStack, SliceSource, array_axis, default_axis
from ..io.image_files import read_image
from ..io.segmentations import read_label
from .cases import Case
from .cvpr24_baseline import segment_as_authors
from .metrics import Agreement, agreement
from .simulated_prompts import PromptKind, prompt_from_truth

METHODS = ("ours", "reference")
REFERENCE_MODEL = "litemedsam"
"""Model of the method "reference"."""


@dataclass(frozen=True)
class Task:
    """What is evaluated, the same for all cases.

    Attributes:
        kind: prompts that are simulated from the truth.
        method: "ours", or "reference" for the algorithm of LiteMedSAM's authors.
        choice: model to run.
        jitter: largest shift of a box edge in pixels.
        seed: seed of the shifts.

    Raises:
        InputError: the method is unknown or does not support the prompts or the model, or a number is negative.
    """

    kind: PromptKind
    method: str = "ours"
    choice: ModelChoice = ModelChoice()
    jitter: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method {self.method!r} is unknown: choose {' or '.join(METHODS)}")
        if self.method == "reference" and self.kind.name != "box3d":
            raise InputError(f"the authors' algorithm knows only 3D boxes: choose --prompt box3d, not {self.kind}")
        if self.method == "reference" and self.choice.model != REFERENCE_MODEL:
            raise InputError(f"the authors' 3D algorithm is LiteMedSAM's: choose --model {REFERENCE_MODEL}")
        if self.jitter < 0 or self.seed < 0:
            raise InputError("--jitter and --seed must not be negative")


@dataclass(frozen=True)
class SliceScore:
    """Score of one slice.

    Attributes:
        index: slice index.
        dsc: Dice coefficient with the truth; 1 if both are empty.
        predicted_iou, confidence, needs_review, key: see `SliceResult`.
        in_truth: whether the slice shows the object.
    """

    index: int
    dsc: float
    predicted_iou: float
    confidence: float
    needs_review: bool
    key: bool
    in_truth: bool


@dataclass(frozen=True)
class CaseScore:
    """Score of one case.

    Attributes:
        case: the case.
        model: key of the model.
        agreement: metrics of the whole object; DSC and volume error without the slices of key masks.
        seconds: duration of the segmentation, without reading the image and loading the model.
        timings: time spent in encoder and decoder.
        slices: scores of the segmented slices.
        extent: first and last slice of the segmentation; None if it is empty.
        not_reached: number of slices with the object that the segmentation ended before.
    """

    case: Case
    model: str
    agreement: Agreement
    seconds: float
    timings: Timings
    slices: list[SliceScore]
    extent: tuple[int, int] | None
    not_reached: int


def run_case(case: Case, task: Task, predictor: Predictor | None = None) -> CaseScore:
    """Evaluate one case.

    Args:
        case: case to evaluate.
        task: prompts, method and model.
        predictor: predictor of `task.choice`, if it is loaded already. Its cache in memory is emptied, so that the time
            of each case includes encoding; embeddings on disk are used.

    Raises:
        InputError: the image, the label or the prompt is not valid. The message names the case.
        WeightsError: the weights are missing or wrong.
    """
    predictor = predictor or load_predictor(task.choice)[0]
    predictor.cache.forget()
    predictor.timings = Timings()
    opened = open_case(case)
    with _naming(case):
        return _scored(case, opened.source, opened.truth, task, predictor)


@dataclass(frozen=True, eq=False)
class OpenedCase:
    """Image and truth of a case.

    Attributes:
        source: slices along the axis of propagation, as the model sees them.
        truth: bool array of the shape of `source`, not empty.
    """

    source: WindowedStack
    truth: np.ndarray


def open_case(case: Case) -> OpenedCase:
    """Read the image and the truth of a case.

    Raises:
        InputError: one of them is not valid. The message names the case.
    """
    with _naming(case):
        image = read_image(case.image)
        truth = read_label(case.label, case.value, like=image)
        axis = case.axis or default_axis(image.spacing_ijk, image.ijk_to_ras, image.dimensions)
        stack = ArrayStack(image.voxels, image.spacing_ijk, axis)
        source = WindowedStack(stack, choose_window(case.window, stack, image.modality or case.modality))
        return OpenedCase(source, np.moveaxis(truth, array_axis(axis), 0))


@contextmanager
def _naming(case: Case) -> Iterator[None]:
    """Name the case in errors."""
    try:
        yield
    except MedSAMError as error:
        named = type(error)(f"case {case.id}: {error}")
        named.logged = error.logged
        raise named from error


def _scored(case: Case, source: WindowedStack, truth: np.ndarray, task: Task, predictor: Predictor) -> CaseScore:
    prompt = prompt_from_truth(truth, task.kind, task.jitter, task.seed, case.id)
    given = list(prompt.key_masks)
    if not np.delete(truth, given, axis=0).any():
        raise InputError(f"{task.kind} gives all slices of the object: give fewer key masks")

    with RunLog(task.choice, source, prompt) as log:
        begin = time.perf_counter()
        results = _segment(source, prompt, predictor, task)
        seconds = time.perf_counter() - begin
    log.slices = len(results)
    log.finished(RunInfo(timings=predictor.timings))
    mask = np.zeros(source.shape, bool)
    for result in results:
        mask[result.index] = result.mask
    return CaseScore(
        case=case,
        model=task.choice.model,
        agreement=agreement(mask, truth, source.spacing, given),
        seconds=seconds,
        timings=predictor.timings,
        slices=[_score(result, truth[result.index]) for result in results],
        extent=_extent(mask),
        not_reached=len(set(occupied_slices(truth).tolist()) - {result.index for result in results}),
    )


def _segment(source: SliceSource, prompt: StackPrompt, predictor: Predictor, task: Task) -> list[SliceResult]:
    if task.method == "ours":
        return sorted(propagate(source, prompt, predictor), key=lambda result: result.index)
    assert prompt.slice_range is not None and prompt.box3d is not None
    first, last = prompt.slice_range
    steps = segment_as_authors(source, predictor, first, last, prompt.box3d)
    # The authors' algorithm has no confidence: the predicted IoU takes its place.
    return sorted(
        (
            SliceResult(
                step.index, step.mask, None, step.predicted_iou, float(np.clip(step.predicted_iou, 0, 1)), False
            )
            for step in steps
        ),
        key=lambda result: result.index,
    )


def _score(result: SliceResult, truth: np.ndarray) -> SliceScore:
    return SliceScore(
        index=result.index,
        dsc=dice(result.mask, truth),
        predicted_iou=result.predicted_iou,
        confidence=result.confidence,
        needs_review=result.needs_review,
        key=result.key,
        in_truth=bool(truth.any()),
    )


def _extent(mask: np.ndarray) -> tuple[int, int] | None:
    held = occupied_slices(mask)
    return (int(held[0]), int(held[-1])) if held.size else None
