"""Writes a result into the segment through whatever Segment Editor hands out for that, in one undo step."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from ..engine.errors import InputError
from .contouring import Contouring
from .modifier import make_modifier
from .segment_writer import Mode, Written


class Editor(Protocol):
    """What an effect can do to the segment that is selected in the Segment Editor."""

    def reference(self) -> slicer.vtkOrientedImageData | None:
        """An image of the segmentation's geometry; None if that cannot be had."""
        ...

    def selected(self) -> slicer.vtkOrientedImageData | None:
        """The selected segment, 0 outside and more inside, in the segmentation's geometry."""
        ...

    def save_for_undo(self) -> None: ...

    def modify(self, labelmap: slicer.vtkOrientedImageData, mode: Mode) -> None:
        """Through the editor's masking."""
        ...


class ResultWriter:
    """Writes the result of one contouring, and its corrected form in its place when it is written again.

    What a correction takes away from the result, it takes away from the segment, if it was this result that had added
    it: what was in the segment before stays. In mode "remove" a correction only removes more.
    """

    def __init__(self, contouring: Contouring) -> None:
        self._contouring = contouring
        self._added: np.ndarray | None = None
        self._lineage: int | None = None

    def write(self, editor: Editor) -> Written:
        """Write in one undo step; none is taken if there is nothing to do.

        Raises:
            InputError: there is no result, the segment or the volume is gone or has changed, or no voxel of the
                segmentation is hit; nothing was changed.
        """
        contouring = self._contouring
        result, plane = contouring.result, contouring.kept.plane
        if result is None or plane is None:
            raise InputError("there is no result to write: draw a rectangle and let the run finish")
        contouring.check_nodes()
        reference, mode = editor.reference(), contouring.parameters.mode
        if reference is None:
            raise InputError("the segmentation has no geometry to write to: choose its source volume")
        mask = contouring.stack(plane).to_volume(result.to_stack())
        modifier = make_modifier(mask, contouring.volume_node, contouring.segmentation_node, reference)
        if contouring.kept.lineage != self._lineage:
            self._added, self._lineage = None, contouring.kept.lineage
        new = np.asarray(_voxels(modifier.labelmap) > 0)
        stale = self._stale(new, mode)
        if modifier.voxels == 0 and stale is None and mode != "replace":
            contouring.kept.applied = True
            return Written(0, modifier.voxels_outside)

        added = self._not_there_before(editor, new)
        editor.save_for_undo()
        if stale is not None:
            editor.modify(_like(modifier.labelmap, stale), "remove")
        if mode == "replace":
            # The editor takes the old content to have the modifier's voxels; adding nothing gives it those.
            editor.modify(_like(modifier.labelmap, np.zeros_like(new)), "add")
        editor.modify(modifier.labelmap, mode)
        self._added = added if mode == "add" else None
        contouring.kept.applied = True
        return Written(modifier.voxels, modifier.voxels_outside)

    def _stale(self, new: np.ndarray, mode: Mode) -> np.ndarray | None:
        """Voxels that the earlier form of the result had added and this one doesn't have."""
        if mode != "add" or self._added is None or self._added.shape != new.shape:
            return None
        stale = self._added & ~new
        return stale if stale.any() else None

    def _not_there_before(self, editor: Editor, new: np.ndarray) -> np.ndarray:
        """Voxels of the result that the segment owes to it."""
        image = editor.selected()
        before = np.zeros((0, 0, 0)) if image is None else _voxels(image)
        owed = np.asarray(new if before.shape != new.shape else new & (before == 0))
        if self._added is not None and self._added.shape == new.shape:
            owed = owed | (new & self._added)
        return owed


def _voxels(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """(k, j, i) view; of no voxels if the image has none."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return np.zeros((0, 0, 0), np.uint8)
    return np.asarray(vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]))


def _like(labelmap: slicer.vtkOrientedImageData, voxels: np.ndarray) -> slicer.vtkOrientedImageData:
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(labelmap)
    _voxels(image)[...] = voxels
    return image
