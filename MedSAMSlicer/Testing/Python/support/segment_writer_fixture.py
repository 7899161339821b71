"""A segmentation that results are written to, and everything in it that a failed write must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.scene.writing.segment_writer import SegmentWriter

SHAPE = (9, 12, 14)
MODES = ("add", "replace", "remove")


def block(k: slice, j: slice, i: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[k, j, i] = True
    return mask


RESULT = block(slice(2, 7), slice(3, 9), slice(4, 11))
BEFORE = block(slice(4, 9), slice(0, 6), slice(2, 8))
NEIGHBOUR = block(slice(0, 5), slice(5, 12), slice(6, 13)) & ~BEFORE


def state(segmentation: Any) -> list[tuple]:
    """Everything that a failed write must leave as it was, to the last bit."""
    part = segmentation.GetSegmentation()
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    recorded: list[tuple] = [(part.GetConversionParameter(name), part.GetSourceRepresentationName())]
    layers: list[Any] = []
    for n in range(part.GetNumberOfSegments()):
        segment = part.GetNthSegment(n)
        labelmap = segment.GetRepresentation("Binary labelmap")
        if labelmap not in layers:
            layers.append(labelmap)
        matrix = vtk.vtkMatrix4x4()
        labelmap.GetImageToWorldMatrix(matrix)
        scalars = labelmap.GetPointData().GetScalars()
        recorded.append(
            (
                part.GetNthSegmentID(n),
                segment.GetName(),
                segment.GetColor(),
                segment.GetLabelValue(),
                slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentStatus(segment),
                layers.index(labelmap),
                labelmap.GetExtent(),
                str(matrix).split("Elements")[1],
                b"" if scalars is None or labelmap.IsEmpty() else vtk_to_numpy(scalars).tobytes(),
            )
        )
    return recorded


class SegmentWriterFixture:
    """A volume, a segmentation with the segments `tumour` and `organ`, and a writer."""

    def __init__(self, scene_builder: Any, segment_in: Any, geometry: str = "oblique", fill: bool = True) -> None:
        self.scene_builder = scene_builder
        self.read_segment = segment_in
        self.volume = scene_builder.volume_in(geometry)
        self.segmentation = scene_builder.segmentation(self.volume, "tumour", "organ")
        self.writer = SegmentWriter.for_nodes(self.segmentation, self.volume)
        self.logic = self.writer.logic
        self.editor = self.logic.GetSegmentEditorNode()
        if fill:
            self.write(BEFORE, "tumour")
            self.write(NEIGHBOUR, "organ")
            self.logic.ClearUndoState()

    def write(self, mask: np.ndarray, segment_id: str = "tumour", mode: str = "add") -> Any:
        return self.writer.write(mask, self.volume, segment_id, mode)

    def read(self, segment_id: str = "tumour", volume: Any = None) -> np.ndarray:
        return self.read_segment(self.segmentation, segment_id, volume or self.volume)


def expected(mode: str, tumour: np.ndarray, result: np.ndarray, editable: np.ndarray) -> np.ndarray:
    """The segment after a write of `result`, where `editable` may change."""
    if mode == "add":
        return tumour | (result & editable)
    if mode == "replace":
        return (tumour & ~editable) | (result & editable)
    return tumour & ~(result & editable)
