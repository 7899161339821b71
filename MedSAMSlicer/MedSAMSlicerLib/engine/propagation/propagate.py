"""Propagation of prompts through a stack: the entry point, which chooses the algorithm for the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ..inference.predictor import Predictor
from ..prompts import StackPrompt
from ..results import SliceResult
from ..stack import SliceSource
from .adapted_settings import adapted_settings
from .between_keys import order_between, propagate_between
from .confidence import key_result
from .in_box import propagate_in_box
from .nearest_first import Walk, nearest_first
from .outward import StartSlice, propagate_outward
from .settings import PropagationSettings
from .slice_predictor import SlicePredictor


def propagate(
    source: SliceSource,
    prompt: StackPrompt,
    predictor: Predictor,
    settings: PropagationSettings | None = None,
) -> Iterator[SliceResult]:
    """Segment one object, slice by slice.

    - A slice range and a 3D box: `in_box`, with key slices as corrections inside the box.
    - Key slices: each is predicted from its own prompt, the slices between them by `between_keys`, and those beyond the
      outermost ones by `outward`: to the ends of the slice range, or as far as the object extends. Masks do not
      leave the 3D box, if there is one.

    Args:
        source: slices as the model sees them.
        prompt: prompts of the object.
        predictor: loaded model.
        settings: settings of the propagation; None for the defaults with what the model's adapter changes.

    Yields:
        Each segmented slice once: key slices first, the others from the slice in view outward as far as they do not
        depend on each other. In a 3D box all of them do.

    Raises:
        InputError: the prompt lies outside the stack.
        WeightsError: the adapter changes a setting that there is not.
    """
    if settings is None:
        settings = adapted_settings(predictor.changed_settings)
    prompt.checked_for(source.shape)
    slice_predictor = SlicePredictor(source, predictor, settings.confidence.stability_offset, prompt.box3d)
    if prompt.slice_range is not None and prompt.box3d is not None:
        yield from propagate_in_box(slice_predictor, prompt, settings)
    else:
        yield from _propagate_from_keys(slice_predictor, prompt, settings)


def _propagate_from_keys(
    predictor: SlicePredictor, prompt: StackPrompt, settings: PropagationSettings
) -> Iterator[SliceResult]:
    in_view = next(iter(prompt.slices)) if prompt.in_view is None else prompt.in_view
    found = []
    for index in sorted(prompt.slices, key=lambda index: abs(index - in_view)):
        given = prompt.slices[index]
        key = key_result(index, predictor.predict_as_given(index, given), given, settings.confidence)
        yield key
        # A key slice with points and an empty mask says nothing about its neighbours.
        if key.box is not None:
            found.append(key)
    if not found:
        return
    found.sort(key=lambda key: key.index)
    between = [
        Walk(order_between(lower.index, upper.index), propagate_between(predictor, lower, upper, settings))
        for lower, upper in pairwise(found)
    ]
    find_end = prompt.slice_range is None
    parts = [(between, True), (_outward(predictor, found, prompt, settings), not find_end)]
    if not found[0].index <= in_view <= found[-1].index:
        parts.reverse()
    for walks, certain in parts:
        results = nearest_first(predictor, walks, in_view, certain)
        yield from (result for result in results if result.index not in prompt.slices)


def _outward(
    predictor: SlicePredictor, keys: list[SliceResult], prompt: StackPrompt, settings: PropagationSettings
) -> list[Walk]:
    """Propagations beyond the outermost of the key slices, which are in increasing order."""
    first, last = prompt.slice_range or (0, predictor.source.shape[0] - 1)
    walks = []
    for key, indices in (
        (keys[-1], range(keys[-1].index + 1, last + 1)),
        (keys[0], range(keys[0].index - 1, first - 1, -1)),
    ):
        start = StartSlice.from_result(key, predictor, settings.outward)
        if start is not None:
            find_end = prompt.slice_range is None
            walks.append(Walk(indices, propagate_outward(predictor, start, indices, settings, find_end)))
    return walks
