"""Points as corrections of a mask that a model has found in a box, for models that were not trained for points.

LiteMedSAM's prompt encoder takes points, but its weights do not: given one, it finds worse masks than without. So the
model sees the box only, and its logits are raised around points that lie inside of the object, and lowered around those
outside, as far as the mask disagrees with them. The change fades with the distance, so that the mask's new edge lies
where the model was least certain. What that brings is measured in docs/development/models.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import map_coordinates

from ..models.family import Family
from ..prompts import SlicePrompt

# Distance at which a correction ends, as a share of the box's side: the square root of its area.
REACH = 0.9
# Logit at a corrected point: the sigmoid of 1 is 0.73, so that smoothing along the stack does not undo it at once.
MARGIN = 1.0
# Least distance at which a correction ends, in pixels of the logits: the pixels around the point are changed at least.
_LEAST_REACH = 2.0


def box_alone(prompt: SlicePrompt) -> SlicePrompt:
    """What the model sees of a prompt with a box and points: the box, enlarged to the points inside of the object."""
    return SlicePrompt(prompt.extent, mask=prompt.mask)


def correct(logits: np.ndarray, prompt: SlicePrompt, family: Family, rows: int, columns: int) -> np.ndarray:
    """Logits of masks that agree with the points of a prompt.

    Args:
        logits: float32 (m, h, w), the answers to `box_alone`.
        prompt: box and points on a slice of `rows` x `columns` pixels.
    """
    box, points = prompt.extent, prompt.points
    assert box is not None and points is not None
    grid = family.logits_grid(rows, columns)
    xy = (np.array(points.coordinates) + 0.5) * (grid.across, grid.down) - 0.5
    side = float(np.sqrt(box.width * grid.across * box.height * grid.down))
    return np.stack([corrected_logits(one, xy, points.positive, side) for one in logits])


def corrected_logits(logits: np.ndarray, xy: np.ndarray, positive: Sequence[bool], side: float) -> np.ndarray:
    """Logits that agree with points.

    Args:
        logits: float32 (h, w).
        xy: (n, 2) x, y of the points in pixels of the logits.
        positive: n times, whether the point lies inside of the object.
        side: square root of the area of the box, in pixels of the logits.

    Returns:
        float32 (h, w), a copy. Points of different sign that are closer than about two pixels may not all be met.
    """
    found = logits.astype(np.float64)
    signs = np.where(positive, 1.0, -1.0)
    for (x, y), sign in zip(xy, signs, strict=True):
        value = sign * _at(found, x, y)
        if value > 0:
            continue
        # No correction reaches a point of the other sign, which would have to be corrected again.
        opposite = np.linalg.norm(xy[signs != sign] - (x, y), axis=1)
        reach = max(_LEAST_REACH, min(REACH * side, opposite.min(initial=np.inf)))
        fading = _fading(found.shape, x, y, reach)
        found += sign * (MARGIN - value) / _at(fading, x, y) * fading
    return found.astype(np.float32)


def mark_points(masks: np.ndarray, prompt: SlicePrompt) -> None:
    """Set the pixels of bool masks (m, rows, columns) in which points lie, in place: nothing is finer than a pixel."""
    assert prompt.points is not None
    for (x, y), positive in zip(prompt.points.coordinates, prompt.points.positive, strict=True):
        row, column = (
            int(np.clip(np.floor(at + 0.5), 0, size - 1)) for at, size in zip((y, x), masks.shape[1:], strict=True)
        )
        masks[:, row, column] = positive


def _at(values: np.ndarray, x: float, y: float) -> float:
    """Bilinear interpolation between pixels, as for the mask of the slice."""
    return float(map_coordinates(values, [[y], [x]], order=1, mode="nearest")[0])


def _fading(shape: tuple[int, ...], x: float, y: float, reach: float) -> np.ndarray:
    """1 at a point, 0 from the distance `reach` on, smooth between: Wendland's function of lowest degree that is C2."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = np.minimum(np.hypot(columns - x, rows - y) / reach, 1)
    return (1 - distance) ** 4 * (4 * distance + 1)
