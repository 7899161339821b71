"""A segmentation that results are written to, and everything in it that a failed write must not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSAMSlicerLib.effect.editor_adapter import EditorAdapter
from MedSAMSlicerLib.scene.writing.segment_editor import LogicEditor
from MedSAMSlicerLib.scene.writing.segment_writer import SegmentWriter, Written

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
    """A volume, a segmentation with the segments `tumour` and `organ`, and an editor to write through.

    Attributes:
        editor: what `SegmentWriter` gets; tests may put another in its place.
        logic: does the editor's work; holds its undo steps.
        node: the editor's node: masking, overwrite mode, selected segment.
    """

    def __init__(
        self,
        scene_builder: Any,
        segment_in: Any,
        make_editor: Callable[[Any, Any], tuple[Any, Any]],
        geometry: str = "oblique",
        fill: bool = True,
    ) -> None:
        self.scene_builder = scene_builder
        self.read_segment = segment_in
        self.volume = scene_builder.volume_in(geometry)
        self.segmentation = scene_builder.segmentation(self.volume, "tumour", "organ")
        self.editor, self.logic = make_editor(self.segmentation, self.volume)
        self.node = self.editor.node
        if fill:
            self.write(BEFORE, "tumour")
            self.write(NEIGHBOUR, "organ")
            self.select("tumour")
            self.logic.ClearUndoState()

    def select(self, segment_id: str) -> None:
        self.node.SetSelectedSegmentID(segment_id)

    def write(self, mask: np.ndarray, segment_id: str = "tumour", mode: Any = "add") -> Written:
        """Select the segment, and write."""
        if self.segmentation.GetSegmentation().GetSegment(segment_id) is not None:
            self.select(segment_id)
        return self.writer(segment_id).write(mask, self.volume, mode)

    def writer(self, segment_id: str = "tumour") -> SegmentWriter:
        return SegmentWriter(self.segmentation, segment_id, self.editor)

    def read(self, segment_id: str = "tumour", volume: Any = None) -> np.ndarray:
        return self.read_segment(self.segmentation, segment_id, volume or self.volume)


class EditorFactory(NamedTuple):
    """One of the two ways to write, and a scene to do it in.

    Attributes:
        make_editor: (segmentation, volume) -> an editor that has the first segment selected, and its logic.
    """

    scene_builder: Any
    make_editor: Callable[[Any, Any], tuple[Any, Any]]

    def writer(self, segmentation: Any, volume: Any) -> SegmentWriter:
        """A writer for the first segment."""
        editor, _logic = self.make_editor(segmentation, volume)
        return SegmentWriter(segmentation, segmentation.GetSegmentation().GetNthSegmentID(0), editor)


def logic_editor(segmentation: Any, volume: Any) -> tuple[LogicEditor, Any]:
    """The editor of scripts, and its logic."""
    editor = LogicEditor(segmentation, segmentation.GetSegmentation().GetNthSegmentID(0), volume)
    return editor, editor.logic


def effect_editor(host: Any, segmentation: Any, volume: Any) -> tuple[EditorAdapter, Any]:
    """The editor of an effect in the host's Segment Editor, and the logic of the Segment Editor."""
    widget = host.editor or host.open_editor()
    widget.setSegmentationNode(segmentation)
    widget.setSourceVolumeNode(volume)
    scripted = slicer.qSlicerSegmentEditorScriptedEffect(None)
    scripted.__dict__["_logic"] = widget.__dict__["_logic"]
    scripted.setParameterSetNode(widget.mrmlSegmentEditorNode())
    return EditorAdapter(scripted), widget.__dict__["_logic"]


def expected(mode: str, tumour: np.ndarray, result: np.ndarray, editable: np.ndarray) -> np.ndarray:
    """The segment after a write of `result`, where `editable` may change."""
    if mode == "add":
        return tumour | (result & editable)
    if mode == "replace":
        return (tumour & ~editable) | (result & editable)
    return tumour & ~(result & editable)
