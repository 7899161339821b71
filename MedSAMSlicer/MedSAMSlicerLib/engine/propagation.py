"""From the prompted slices through the stack: which way of going suits which prompt."""

from __future__ import annotations

from collections.abc import Iterator

from .box_propagation import propagate_in_box
from .key_propagation import segment_between, segment_key
from .open_propagation import Origin, propagate_outwards
from .predictor import Predictor
from .prompts import StackPrompt
from .results import SliceResult
from .slice_asker import SliceAsker
from .stack import SliceSource


def propagate(source: SliceSource, prompt: StackPrompt, predictor: Predictor) -> Iterator[SliceResult]:
    """Masks of one object, slice by slice, each slice once.

    - A 3D box (reach, bounds, one key slice): `box_propagation`.
    - Key slices: each from its own rectangle, those between them by `key_propagation`, those beyond the outermost ones by
      `open_propagation`: to the ends of the reach if there is one, else as far as the object goes. With bounds, no
      mask leaves them.

    Raises:
        InputError: the prompt lies outside the stack.
    """
    prompt.checked_for(source.shape)
    asker = SliceAsker(source, predictor, prompt.bounds)
    if prompt.bounds is not None and prompt.reach is not None and list(prompt.keys.values()) == [prompt.bounds]:
        yield from propagate_in_box(asker, prompt)
        return
    keys = list(prompt.keys)
    lowest = highest = segment_key(asker, keys[0], prompt.keys[keys[0]])
    yield lowest
    for upper in keys[1:]:
        yield from segment_between(asker, prompt, highest, upper)
        highest = segment_key(asker, upper, prompt.keys[upper])
        yield highest
    first, last = prompt.reach or (0, source.shape[0] - 1)
    stop = prompt.reach is None
    for start, indices in ((highest, range(keys[-1] + 1, last + 1)), (lowest, range(keys[0] - 1, first - 1, -1))):
        origin = Origin.of(asker, start)
        if origin is not None:
            yield from propagate_outwards(asker, origin, indices, stop)
