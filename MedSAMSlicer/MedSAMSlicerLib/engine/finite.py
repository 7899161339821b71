"""Voxels that are NaN or infinite: they count as background, and are refused in a prompt."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from .errors import InputError
from .i18n import tr as _
from .prompts import Box, SlicePrompt, StackPrompt
from .stack import ValueSource


def not_finite_steps(values: ValueSource) -> Generator[None, None, tuple[int, str]]:
    """Count the voxels that are not finite numbers, in steps.

    Args:
        values: the volume, in slices along K.

    Yields:
        None after each slice that was read.

    Returns:
        How many there are, and a note for the user; 0 and "" if there are none.
    """
    count, where = 0, ""
    if values.slice_values(0).dtype.kind != "f":
        return 0, ""
    for k in range(values.shape[0]):
        finite = np.isfinite(values.slice_values(k))
        bad = finite.size - int(np.count_nonzero(finite))
        if bad and not count:
            j, i = np.unravel_index(int(finite.argmin()), finite.shape)
            where = f"i {i}, j {j}, k {k}"
        count += bad
        yield
    if not count:
        return 0, ""
    text = _("1 voxel is NaN or infinite ({where}): taken as background.")
    if count > 1:
        text = _("{count} voxels are NaN or infinite (the first at {where}): taken as background.")
    return count, text.format(count=count, where=where)


def check_finite_in_prompt(values: ValueSource, prompt: StackPrompt) -> None:
    """Check that the voxels that a prompt points at are finite numbers. Elsewhere, others count as background.

    Args:
        values: the volume in scanner values.
        prompt: its 3D box, points, drawn masks and rectangles are looked at, and on slices between key slices the
            rectangles of both.

    Raises:
        InputError: a voxel in one of them is NaN or infinite.
    """
    whole = Box.of_slice(*values.shape[1:])
    first, last = prompt.slice_range or (min(prompt.slices), max(prompt.slices))
    for index in range(first, last + 1):
        given = prompt.slices.get(index)
        if given is not None and given.key_mask is not None:
            continue  # no model sees the slice
        boxes = [prompt.box3d] if prompt.box3d is not None else _rectangles_near(prompt, index)
        if given is not None and given.points is not None:
            boxes += [Box(x, y, x, y) for x, y in given.points.coordinates]
        if given is not None and given.mask is not None and given.mask.mask is not None:
            drawn = Box.from_mask(given.mask.mask)
            boxes += [drawn] if drawn is not None else []
        if not boxes:
            continue
        image = values.slice_values(index)
        if image.dtype.kind != "f":
            return
        for box in boxes:
            inside = box.intersection(whole)
            if inside is None:
                continue
            x0, y0, x1, y1 = (round(edge) for edge in inside.xyxy)
            bad = np.argwhere(~np.isfinite(image[y0 : y1 + 1, x0 : x1 + 1]))
            if bad.size:
                row, column = bad[0]
                raise InputError(
                    _(
                        "{count} voxels in the prompt on slice {index} are NaN or infinite (the first in column {x}, row {y}): "
                        "move the prompt, or repair the image"
                    ).format(count=len(bad), index=index, x=x0 + column, y=y0 + row)
                )


def _rectangles_near(prompt: StackPrompt, index: int) -> list[Box]:
    """The rectangle of a slice, or those of the nearest key slices on both sides."""
    keys = {key: box for key, given in prompt.slices.items() if (box := _rectangle(given)) is not None}
    if index in keys:
        near = [index]
    else:
        near = [
            key
            for key in (
                max((k for k in keys if k < index), default=None),
                min((k for k in keys if k > index), default=None),
            )
            if key is not None
        ]
    return [keys[key] for key in near]


def _rectangle(given: SlicePrompt) -> Box | None:
    return given.box if given.key_mask is None else given.key_mask.box
