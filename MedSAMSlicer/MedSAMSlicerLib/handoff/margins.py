"""Margins around segments: clinical and planning target volumes from gross tumour volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engine.errors import InputError
from ..engine.i18n import tr as _
from ..engine.masks import bounding_box
from .grid import Grid
from .segments import UNRECORDED, Segment

LARGEST_MM = 100.0
# A direction without margin still reaches this share of a voxel, so that oblique neighbours beside it are not lost.
_NO_MARGIN_VOXELS = 0.25


def grow(
    mask: np.ndarray,
    grid: Grid,
    margin_mm: float | Sequence[float],
    avoid: Sequence[np.ndarray] = (),
    inside: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Grow a mask by a margin in the patient's directions.

    In each octant of directions the margin is that of an ellipsoid; along left, right, anterior, posterior, superior and
    inferior it is as given. It begins at the centres of the faces between inner and outer voxels, and a voxel is added
    if it reaches the voxel's centre, so the surface is right to half a voxel. It ends at the edge of the grid.

    Args:
        mask: bool (k, j, i), not empty.
        grid: its grid, which may be oblique and anisotropic.
        margin_mm: one margin, or six: left, right, anterior, posterior, superior, inferior.
        avoid: masks that the margin does not enter.
        inside: masks that the margin does not leave.

    Returns:
        bool (k, j, i) mask, which contains `mask`.

    Raises:
        InputError: the margin is not one or six numbers from 0 to `LARGEST_MM`, or the mask is empty.
    """
    from scipy.signal import fftconvolve  # takes as long to import as everything else together

    margins = _six(margin_mm)
    box = bounding_box(mask)
    if box is None:
        raise InputError(_("the segment is empty: contour it first"))
    reach = _reach(grid, margins)[::-1]
    around = tuple(
        slice(max(part.start - n, 0), min(part.stop + n, size))
        for part, n, size in zip(box, reach, mask.shape, strict=True)
    )
    # One more layer on all sides, so that the faces of voxels at the edge count as well.
    padded = np.pad(mask[around], 1)
    reached = np.zeros(padded.shape, bool)
    for dimension in range(3):
        faces = np.zeros(padded.shape, np.float32)  # the face of each voxel towards the next one
        inner = tuple(slice(None, -1) if n == dimension else slice(None) for n in range(3))
        faces[inner] = np.diff(padded, axis=dimension)
        # Counts the faces from whose centres the margin reaches a voxel.
        reached |= fftconvolve(faces, _element(grid, margins, dimension), mode="same") > 0.5
    reached = reached[1:-1, 1:-1, 1:-1]
    for other in avoid:
        reached &= ~other[around]
    for other in inside:
        reached &= other[around]
    result = mask.copy()
    result[around] |= reached
    return result


def at_edge(mask: np.ndarray) -> bool:
    """Whether a (k, j, i) mask has voxels in an outermost layer of its grid, where a margin may be cut off."""
    return any(bool(mask.take([0, -1], axis=dimension).any()) for dimension in range(3))


def margin_provenance(
    segment: Segment, margin_mm: Sequence[float], avoid: Sequence[str] = (), inside: Sequence[str] = ()
) -> str:
    """Provenance of what `grow` made of a segment, given the names of the segments that limit it."""
    limits = [f", outside of {one}" for one in avoid] + [f", inside of {one}" for one in inside]
    grown = f"{segment.name} with a margin of {' '.join(f'{mm:g}' for mm in margin_mm)} mm{''.join(limits)}"
    if segment.recorded:
        return f"{grown}; {segment.provenance}"
    return f"{UNRECORDED}; {grown}{segment.provenance.removeprefix(UNRECORDED)}"


def _six(margin_mm: float | Sequence[float]) -> np.ndarray:
    values = np.asarray(margin_mm, float).ravel()
    if values.size == 1:
        values = np.repeat(values, 6)
    if values.size != 6 or not np.isfinite(values).all() or values.min() < 0 or values.max() > LARGEST_MM:
        raise InputError(
            _("the margin {margin} is not understood: give one or six (L R A P S I) from 0 to {largest:g} mm").format(
                margin=margin_mm, largest=LARGEST_MM
            )
        )
    return values


def _reach(grid: Grid, margins: np.ndarray) -> np.ndarray:
    """(3,) voxels along i, j, k that the margin reaches at most."""
    per_mm = np.linalg.norm(np.linalg.inv(grid.ijk_to_lps[:3, :3]), axis=1)
    return np.asarray(np.ceil(margins.max() * per_mm + 0.5).astype(int))


def _element(grid: Grid, margins: np.ndarray, dimension: int) -> np.ndarray:
    """Voxels that the margin reaches from the centre of a face.

    Args:
        dimension: of the (k, j, i) array across the face, which lies half a voxel after the element's centre.

    Returns:
        float32 (k, j, i) array of odd size: 1 or 0.
    """
    i, j, k = (np.arange(-n - 1.0, n + 2.0) for n in _reach(grid, margins))
    indices = np.stack(np.meshgrid(k, j, i, indexing="ij")[::-1], axis=-1)
    indices[..., 2 - dimension] -= 0.5
    axes = grid.ijk_to_lps[:3, :3]
    lps = indices @ axes.T
    left, right, anterior, posterior, superior, inferior = margins
    shortest = _NO_MARGIN_VOXELS * np.linalg.norm(axes, axis=0).min()
    positive = np.maximum([left, posterior, superior], shortest)
    negative = np.maximum([right, anterior, inferior], shortest)
    within = np.square(lps / np.where(lps > 0, positive, negative)).sum(axis=-1) <= 1 + 1e-9
    return within.astype(np.float32)
