"""From the prompted slices through the stack: which way of going suits which prompt."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ..inference.predictor import Predictor
from ..prompts import StackPrompt
from ..results import SliceResult
from ..stack import SliceSource
from .between_keys import segment_between
from .in_box import propagate_in_box
from .key_slices import segment_key
from .outward import Origin, propagate_outwards
from .slice_predictor import SlicePredictor


def propagate(source: SliceSource, prompt: StackPrompt, predictor: Predictor) -> Iterator[SliceResult]:
    """Masks of one object, slice by slice, each slice once.

    - A 3D box (reach and bounds): `box_propagation`, whatever else was given on some of its slices.
    - Key slices: each from its own rectangle, points or mask, those between them by `key_propagation`, those beyond the
      outermost ones by `open_propagation`: to the ends of the reach if there is one, else as far as the object goes.
      With bounds, no mask leaves them.

    Raises:
        InputError: the prompt lies outside the stack.
    """
    prompt.checked_for(source.shape)
    asker = SlicePredictor(source, predictor, prompt.box3d)
    if prompt.slice_range is not None and prompt.box3d is not None:
        yield from propagate_in_box(asker, prompt)
        return
    found = []
    for index, given in prompt.slices.items():
        key = segment_key(asker, index, given)
        yield key
        # Points in which the model sees nothing say nothing of the slices around them either.
        if key.box is not None:
            found.append(key)
    if not found:
        return
    answered = set(prompt.slices)
    for lower, upper in pairwise(found):
        yield from (one for one in segment_between(asker, lower, upper) if one.index not in answered)
    first, last = prompt.slice_range or (0, source.shape[0] - 1)
    stop = prompt.slice_range is None
    lowest, highest = found[0], found[-1]
    for start, indices in (
        (highest, range(highest.index + 1, last + 1)),
        (lowest, range(lowest.index - 1, first - 1, -1)),
    ):
        origin = Origin.of(asker, start)
        if origin is not None:
            outwards = propagate_outwards(asker, origin, indices, stop)
            yield from (one for one in outwards if one.index not in answered)
