"""Image resizing that reproduces the results of the libraries used by the models' authors."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

_FIXED_POINT = 2048


def longest_side_size(height: float, width: float, target: int) -> tuple[int, int]:
    """(height, width) after scaling the longer side to `target` pixels. Rounds half up, to at least one pixel."""
    scale = target / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def area_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize with OpenCV's ``INTER_AREA`` interpolation, bit for bit.

    If both sides shrink, each pixel is the mean of the area that it covers. Otherwise OpenCV interpolates linearly, with
    weights that keep most pixels equal to one source pixel. Implements the documented behaviour of ``cv::resize``;
    tested against OpenCV 4.10.

    Args:
        image: uint8 (rows, columns) or (rows, columns, channels).
        height, width: size of the result in pixels.

    Returns:
        uint8 (`height`, `width`) or (`height`, `width`, channels).
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image.copy()
    if rows >= height and columns >= width:
        return _shrink(image, height, width)
    return _enlarge(image, height, width)


def _shrink(image: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = image.shape[:2]
    if rows % height == 0 and columns % width == 0:
        return _shrink_by_whole_factors(image, rows // height, columns // width)
    across, down = _area_weights(columns, width), _area_weights(rows, height)
    # OpenCV sums in float32, first along rows and then over rows.
    reduced = np.zeros((rows, width, *image.shape[2:]), np.float32)
    for target, source, weight in across:
        reduced[:, target] += image[:, source].astype(np.float32) * weight
    result = np.zeros((height, width, *image.shape[2:]), np.float32)
    for target, source, weight in down:
        result[target] += reduced[source] * weight
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def _shrink_by_whole_factors(image: np.ndarray, down: int, across: int) -> np.ndarray:
    rows, columns = image.shape[:2]
    blocks = image.reshape(rows // down, down, columns // across, across, *image.shape[2:])
    sums = blocks.sum(axis=(1, 3), dtype=np.int32)
    if (down, across) == (2, 2):
        return ((sums + 2) >> 2).astype(np.uint8)
    return np.rint(sums.astype(np.float32) * np.float32(1.0 / (down * across))).astype(np.uint8)


def _area_weights(source_size: int, target_size: int) -> list[tuple[int, int, np.float32]]:
    """(target pixel, source pixel, weight) for every source pixel that overlaps a target pixel."""
    scale = 1 / (target_size / source_size)  # rounded as in OpenCV
    parts: list[tuple[int, int, np.float32]] = []
    for target in range(target_size):
        begin, end = target * scale, (target + 1) * scale
        cell = min(scale, source_size - begin)
        first = int(np.ceil(begin))
        last = min(int(np.floor(end)), source_size - 1)
        first = min(first, last)
        if first - begin > 1e-3:
            parts.append((target, first - 1, np.float32((first - begin) / cell)))
        for source in range(first, last):
            parts.append((target, source, np.float32(1.0 / cell)))
        if end - last > 1e-3:
            part = min(min(end - last, 1.0), cell) / cell
            parts.append((target, last, np.float32(part)))
    return parts


def _enlarge(image: np.ndarray, height: int, width: int) -> np.ndarray:
    left, right, across = _linear_weights(image.shape[1], width)
    above, below, down = _linear_weights(image.shape[0], height)
    values = image.astype(np.int32)
    shape = (1, -1) + (1,) * (image.ndim - 2)
    mixed = values[:, left] * across[0].reshape(shape) + values[:, right] * across[1].reshape(shape)
    shape = (-1, 1) + (1,) * (image.ndim - 2)
    upper = (down[0].reshape(shape) * (mixed[above] >> 4)) >> 16
    lower = (down[1].reshape(shape) * (mixed[below] >> 4)) >> 16
    return np.clip((upper + lower + 2) >> 2, 0, 255).astype(np.uint8)


def _linear_weights(source_size: int, target_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two source pixels of each target pixel, and their (2, target_size) 11-bit fixed-point weights."""
    target = np.arange(target_size)
    inverse = target_size / source_size
    scale = 1 / inverse  # rounded as in OpenCV: source_size / target_size differs in the last bit
    first = np.floor(target * scale).astype(int)
    fraction = ((target + 1) - (first + 1) * inverse).astype(np.float32)
    fraction = np.where(fraction <= 0, np.float32(0), fraction - np.floor(fraction)).astype(np.float32)
    fraction[first >= source_size - 1] = 0
    first = np.minimum(first, source_size - 1)
    weights = np.stack([np.float32(1) - fraction, fraction])
    fixed = np.rint(weights * np.float32(_FIXED_POINT)).astype(np.int32)
    return first, np.minimum(first + 1, source_size - 1), fixed


def scores_resize(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize like torch's ``interpolate(mode="bilinear", align_corners=False)``, up to rounding errors, but only where the
    result can be positive. Elsewhere the result is -1.

    Most objects cover a small part of the slice, so this saves most of the work.

    Args:
        scores: float32 (n, rows, columns), positive inside an object.
        height, width: size of the result in pixels.

    Returns:
        float32 (n, `height`, `width`).
    """
    result = np.full((len(scores), height, width), -1, np.float32)
    found = _resized_part(scores, height, width)
    if found is not None:
        rows, columns, part = found
        result[:, rows, columns] = part
    return result


def masks_resize(scores: np.ndarray, height: int, width: int) -> np.ndarray:
    """Masks of the positive values of `scores_resize`.

    Args:
        scores: float32 (n, rows, columns), positive inside an object.
        height, width: size of the result in pixels.

    Returns:
        bool (n, `height`, `width`).
    """
    result = np.zeros((len(scores), height, width), bool)
    found = _resized_part(scores, height, width)
    if found is not None:
        rows, columns, part = found
        result[:, rows, columns] = part > 0
    return result


def _resized_part(scores: np.ndarray, height: int, width: int) -> tuple[slice, slice, np.ndarray] | None:
    """Rows and columns of the result that positive scores contribute to, and its float32 values there; None without any."""
    above, below, down = _bilinear_weights(scores.shape[1], height)
    left, right, across = _bilinear_weights(scores.shape[2], width)
    positive = scores > 0
    rows = _reached(np.asarray(positive.any(axis=(0, 2))), above, below)
    columns = _reached(np.asarray(positive.any(axis=(0, 1))), left, right)
    if rows is None or columns is None:
        return None
    across, down = across[columns], down[rows][:, None]
    lowest, highest = above[rows.start], below[rows.stop - 1] + 1
    near = scores[:, lowest:highest]
    wide = near[..., left[columns]] * (1 - across) + near[..., right[columns]] * across
    return rows, columns, wide[:, above[rows] - lowest] * (1 - down) + wide[:, below[rows] - lowest] * down


def _reached(positive: np.ndarray, first: np.ndarray, second: np.ndarray) -> slice | None:
    """Target pixels from the first to the last that a positive source pixel contributes to, plus one on each side."""
    found = np.flatnonzero(positive[first] | positive[second])
    if not found.size:
        return None
    # One more, because a second resizing step would mix neighbours.
    return slice(max(0, int(found[0]) - 1), min(len(first), int(found[-1]) + 2))


def _bilinear_weights(source_size: int, target_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two source pixels of each target pixel, and the float32 weight of the second one."""
    half = np.float32(0.5)
    place = (np.arange(target_size, dtype=np.float32) + half) * np.float32(source_size / target_size) - half
    place = np.maximum(place, 0)
    first = np.minimum(place.astype(int), source_size - 1)
    return first, np.minimum(first + 1, source_size - 1), (place - first).astype(np.float32)


def spline_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize with cubic B-splines like scikit-image's ``resize(order=3, anti_aliasing=True)``, and truncate to uint8.

    Args:
        image: uint8 (rows, columns) or (rows, columns, channels).
        height, width: size of the result in pixels.

    Returns:
        uint8 (`height`, `width`) or (`height`, `width`, channels), clipped to the range of the image.
    """
    target = (height, width, *image.shape[2:])
    values = image.astype(np.float64)
    factors = np.divide(image.shape, target)
    if (factors > 1).any():
        values = scipy.ndimage.gaussian_filter(values, np.maximum(0, (factors - 1) / 2), mode="mirror")
    resized = scipy.ndimage.zoom(values, 1 / factors, order=3, mode="mirror", grid_mode=True)
    return np.clip(resized, image.min(), image.max()).astype(np.uint8)
