"""Finds the intensity window a few slices at a time, so that whoever waits for it stays responsive.

Gives what `engine.intensity.choose_window` gives, to the last bit; that one reads the whole volume in one call, which
takes seconds for a large one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import numpy as np
import slicer

from ..engine.errors import InputError
from ..engine.intensity import CT_HIGHEST_MINIMUM, PERCENTILES, SIGNED_SHARE, Window, choose_window
from ..engine.stack import ValueSource
from ..engine.words import tr as _

_BINS = 1 << 16
Steps = Generator[None, None, Window]


class WindowSearch:
    """One search, advanced by whoever owns it.

    Args:
        wanted, values, modality: as for `choose_window`.
        clock: seconds, never running backwards.
    """

    def __init__(
        self,
        wanted: str,
        values: ValueSource,
        modality: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = _search(wanted, values, modality)
        self._clock = clock
        self._found: Window | None = None
        self._error: InputError | None = None

    @property
    def window(self) -> Window | None:
        """What was found; None until then. Raises the InputError with which the search ended."""
        if self._error is not None:
            raise self._error
        return self._found

    def advance(self, seconds: float) -> Window | None:
        """Search for about that long. Raises InputError as `choose_window` does."""
        end = self._clock() + seconds
        while self.window is None:
            try:
                next(self._steps)
            except StopIteration as finished:
                self._found = finished.value
            except InputError as error:
                self._error = error
            if self._clock() >= end:
                break
        return self.window


def modality_of(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """DICOM modality of a volume that was loaded from DICOM files, such as "CT"; None if nothing says it."""
    scene = volume_node.GetScene()
    hierarchy = None if scene is None else slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is None:
        return None
    item = hierarchy.GetItemByDataNode(volume_node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return hierarchy.GetItemAttribute(item, name) or None if item else None


def displayed_window(volume_node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """The window that the volume is displayed in, as LEVEL,WIDTH.

    Raises:
        InputError: it is not displayed, or not in a window of any width.
    """
    display = volume_node.GetDisplayNode()
    if display is None or not hasattr(display, "GetWindow") or not display.GetWindow() > 0:
        raise InputError(
            _("volume '{volume}' is shown in no window: show it, or choose another window").format(
                volume=volume_node.GetName()
            )
        )
    return f"{display.GetLevel()!r},{display.GetWindow()!r}"


def _search(wanted: str, values: ValueSource, modality: str | None) -> Steps:
    low, high = yield from _extremes(values)
    # All that `choose_window` reads of an image, unless it takes percentiles, are these two values.
    ends = _TwoVoxels(low, high)
    if wanted != "auto" or low == high or modality == "CT" or (modality is None and low <= CT_HIGHEST_MINIMUM):
        return choose_window(wanted, ends, modality)
    background = low if low < -SIGNED_SHARE * abs(high) else 0.0
    lower, upper = yield from _percentiles(values, background, high)
    if lower == upper:
        lower, upper = background, high
    return Window(lower, upper, "percentiles", background=background)


class _TwoVoxels:
    shape = (1, 1, 2)
    spacing = (1.0, 1.0, 1.0)

    def __init__(self, low: float, high: float) -> None:
        self._values = np.array([[low, high]])

    def slice_values(self, _index: int) -> np.ndarray:
        return self._values


def _extremes(values: ValueSource) -> Generator[None, None, tuple[float, float]]:
    lowest, highest = np.inf, -np.inf
    for index in range(values.shape[0]):
        one = values.slice_values(index)
        low, high = float(one.min()), float(one.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(
                _("slice {index} of the image holds voxels that are not finite numbers: repair the image").format(
                    index=index
                )
            )
        lowest, highest = min(lowest, low), max(highest, high)
        yield
    return lowest, highest


def _percentiles(values: ValueSource, background: float, maximum: float) -> Generator[None, None, tuple[float, float]]:
    """Exact, with linear interpolation: first the bins in which they lie, then the voxels of only those bins."""
    scale = (_BINS - 1) / (maximum - background)

    def above(index: int) -> tuple[np.ndarray, np.ndarray]:
        one = values.slice_values(index)
        voxels = one[one > background].astype(np.float64)
        return voxels, ((voxels - background) * scale).astype(np.intp)

    counts = np.zeros(_BINS, np.int64)
    for index in range(values.shape[0]):
        counts += np.bincount(above(index)[1], minlength=_BINS)
        yield
    ends = np.cumsum(counts)
    ranks = [(int(ends[-1]) - 1) * percentile / 100 for percentile in PERCENTILES]
    whole = sorted({int(edge(rank)) for rank in ranks for edge in (np.floor, np.ceil)})
    bins = np.unique(np.searchsorted(ends, whole, side="right"))
    found = []
    for index in range(values.shape[0]):
        voxels, where = above(index)
        found.append(voxels[np.isin(where, bins)])
        yield
    ordered = np.sort(np.concatenate(found))
    before = np.concatenate([[0], np.cumsum(counts[bins])])

    def value_at(rank: int) -> float:
        place = int(np.searchsorted(ends[bins], rank, side="right"))
        return float(ordered[before[place] + rank - (ends - counts)[bins[place]]])

    limits = []
    for rank in ranks:
        below, over = value_at(int(np.floor(rank))), value_at(int(np.ceil(rank)))
        limits.append(below + (over - below) * (rank - np.floor(rank)))
    return float(limits[0]), float(limits[1])
