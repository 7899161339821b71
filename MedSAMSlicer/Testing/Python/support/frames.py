"""A volume that shows the frames of a sequence, as Slicer's Sequences module arranges it."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy


class Frames:
    """Makes a volume of a scene the proxy of a sequence of frames: its own voxels, and others.

    Args:
        volume: the volume, which shows frame 0 afterwards.
        others: (k, j, i) voxels of frame 1 and later ones.
    """

    def __init__(self, volume: Any, *others: np.ndarray) -> None:
        scene = volume.GetScene()
        self.volume, self._logic = volume, slicer.vtkSlicerSequencesLogic()
        self._logic.SetMRMLScene(scene)
        self._sequence = sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
        sequence.SetDataNodeAtValue(volume, "0")
        for number, other in enumerate(others, 1):
            voxels(volume)[...] = other
            sequence.SetDataNodeAtValue(volume, str(number))
        self.browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
        self.browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        self.browser.AddProxyNode(volume, sequence, False)
        self.show(0)

    def data(self, frame: int) -> np.ndarray:
        """(k, j, i) view of the voxels of a frame, which may be written."""
        return voxels(self._sequence.GetNthDataNode(frame))

    def show(self, frame: int) -> None:
        self.browser.SetSelectedItemNumber(frame)
        self._logic.UpdateProxyNodesFromSequences(self.browser)


def voxels(volume: Any) -> np.ndarray:
    """(k, j, i) view of the voxels, which may be written."""
    image = volume.GetImageData()
    return np.asarray(vtk_to_numpy(image.GetPointData().GetScalars())).reshape(image.GetDimensions()[::-1])


def edit(volume: Any, array: np.ndarray) -> None:
    """Replace the voxels in place, and tell the volume, as `slicer.util.arrayFromVolumeModified` does."""
    voxels(volume)[...] = array
    volume.GetImageData().GetPointData().GetScalars().Modified()
    volume.Modified()
