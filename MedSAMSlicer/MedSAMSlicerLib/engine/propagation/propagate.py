"""Propagation of prompts through a stack: the entry point, which chooses the algorithm for the prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from ..inference.predictor import Predictor
from ..masks import dice
from ..prompts import SlicePrompt, StackPrompt
from ..results import SliceResult
from ..stack import SliceSource
from .adapted_settings import adapted_settings
from .between_keys import order_between, propagate_between
from .confidence import key_mask_result, key_result
from .in_box import propagate_in_box
from .key_shapes import KeyShapes
from .nearest_first import Walk, nearest_first
from .outward import StartSlice, propagate_outward
from .settings import PropagationSettings
from .slice_predictor import SliceMask, SlicePredictor


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
    - Key masks are key slices whose masks are results as they are. At an empty one the object has ended: between it and the
      nearest key slice that holds the object, the end is found by `outward`. Other slices beyond it are not segmented.

    Args:
        source: slices as the model sees them.
        prompt: prompts of the object.
        predictor: loaded model.
        settings: settings of the propagation; None for the defaults with what the model's adapter changes.

    Yields:
        Each segmented slice once: key slices first, the others from the slice in view outward as far as they do not
        depend on each other. In a 3D box all of them do: if `prompt` tells the slice in view, that slice and those near it
        come before all others once more, as provisional results.

    Raises:
        InputError: the prompt lies outside the stack.
        WeightsError: the adapter changes a setting that there is not.
    """
    if settings is None:
        settings = adapted_settings(predictor.changed_settings)
    prompt.checked_for(source.shape)
    slice_predictor = SlicePredictor(
        source, predictor, settings.confidence.stability_offset, prompt.box3d, settings.extent_by_base
    )
    if prompt.slice_range is not None and prompt.box3d is not None:
        yield from propagate_in_box(slice_predictor, prompt, settings)
    else:
        yield from _propagate_from_keys(slice_predictor, prompt, settings)


def _propagate_from_keys(
    predictor: SlicePredictor, prompt: StackPrompt, settings: PropagationSettings
) -> Iterator[SliceResult]:
    in_view = next(iter(prompt.slices)) if prompt.in_view is None else prompt.in_view
    key_masks = prompt.key_masks
    shapes = KeyShapes(predictor, {index: key_masks.get(index) for index in prompt.slices}, settings)
    found: dict[int, SliceResult] = {}
    masks: dict[int, SliceMask] = {}
    for index in sorted(prompt.slices, key=lambda index: abs(index - in_view)):
        given = prompt.slices[index]
        if index in key_masks:
            key, masks[index] = key_mask_result(index, key_masks[index]), shapes.key(index)
        else:
            masks[index] = predictor.predict_as_given(index, given)
            key = key_result(index, masks[index], given, settings.confidence)
        yield key
        # A key slice with points and an empty mask says nothing about its neighbours.
        if key.box is not None or index in key_masks:
            found[index] = key
    keys = [found[index] for index in sorted(found)]
    held = [key.index for key in keys if key.box is not None]
    if not held:
        return
    between = [
        Walk(
            order_between(lower.index, upper.index),
            propagate_between(predictor, lower, upper, masks, shapes, settings),
        )
        for lower, upper in pairwise(keys)
        if lower.box is not None and upper.box is not None
    ]
    outward = _outward(predictor, keys, shapes, masks, prompt, settings)
    certain = not any(find_end for _walk, find_end in outward)
    parts = [(between, True), ([walk for walk, _find_end in outward], certain)]
    if not held[0] <= in_view <= held[-1]:
        parts.reverse()
    for walks, sure in parts:
        results = nearest_first(predictor, walks, in_view, sure)
        yield from (result for result in results if result.index not in prompt.slices)


def _outward(
    predictor: SlicePredictor,
    keys: list[SliceResult],
    shapes: KeyShapes,
    masks: Mapping[int, SliceMask],
    prompt: StackPrompt,
    settings: PropagationSettings,
) -> list[tuple[Walk, bool]]:
    """Propagations beyond the outermost key slices and towards empty key masks, and whether each has to find the end.

    Args:
        keys: results of the key slices, in increasing order.
        masks: slice index -> mask of each key slice.
    """
    slices = predictor.source.shape[0]
    first, last = prompt.slice_range or (0, slices - 1)
    starts: list[tuple[SliceResult, range, bool]] = []
    # Where the slice range ends, the object is known to end; before an empty key mask, it ends somewhere.
    for lower, upper in pairwise([None, *keys, None]):
        above = range(0 if lower is None else lower.index + 1, last + 1 if upper is None else upper.index)
        below = range(first if lower is None else lower.index + 1, 0 if upper is None else upper.index)
        if lower is not None and lower.box is not None and (upper is None or upper.box is None):
            starts.append((lower, above, upper is not None or prompt.slice_range is None))
        if upper is not None and upper.box is not None and (lower is None or lower.box is None):
            starts.append((upper, below[::-1], lower is not None or prompt.slice_range is None))
    walks = []
    for key, indices, find_end in reversed(starts):
        if not indices:
            continue
        start = _start(predictor, key, shapes, prompt, settings)
        if start is not None:
            results = propagate_outward(predictor, start, indices, masks, settings, find_end)
            walks.append((Walk(indices, results), find_end))
    return walks


def _start(
    predictor: SlicePredictor,
    key: SliceResult,
    shapes: KeyShapes,
    prompt: StackPrompt,
    settings: PropagationSettings,
) -> StartSlice | None:
    """Where the propagation beyond a key slice starts, and by which model; see `SlicePredictor.finder`.

    The finder follows the object from its own mask on the key slice, unless that has little in common with the other
    model's: then the object is one that the finder does not see. From a key mask all models start with that mask, and the
    one follows whose own mask in its box resembles it, the finder if both do.
    """
    finder = predictor.finder
    if finder is predictor:
        follower = predictor
    elif key.index in prompt.key_masks:
        follower = _follower_from_mask(predictor, key, settings)
    else:
        given = prompt.slices[key.index]
        by_finder = key_result(key.index, finder.predict_as_given(key.index, given), given, settings.confidence)
        sees = dice(by_finder.mask, key.mask) >= settings.outward.smallest_base_dice
        # Whoever finds nothing cannot follow it.
        follower = finder if by_finder.mask.any() and (sees or not key.mask.any()) else predictor
        key = by_finder if follower is finder else key
    logits = shapes.logits_on(key.index) if key.low_res_logits is None else key.low_res_logits
    return StartSlice.from_result(replace(key, low_res_logits=logits), follower, settings.outward)


def _follower_from_mask(predictor: SlicePredictor, key: SliceResult, settings: PropagationSettings) -> SlicePredictor:
    """The finder, unless it does not see what a key mask shows and the other model sees more of it."""
    finder, given = predictor.finder, SlicePrompt(box=key.box)
    by_finder = dice(finder.predict_as_given(key.index, given).mask, key.mask)
    if by_finder >= settings.outward.smallest_base_dice:
        return finder
    return predictor if dice(predictor.predict_as_given(key.index, given).mask, key.mask) > by_finder else finder
