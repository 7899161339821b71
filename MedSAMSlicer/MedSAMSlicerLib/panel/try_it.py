"""'Try it': from an empty scene to the first rectangle on the sample CT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..engine.environment import DEFAULT_MODEL
from ..engine.errors import InputError
from ..engine.models.catalogue import model_title
from ..engine.volume.affine import transform_points
from ..scene.display.drag_hint import DragHint
from ..scene.state.effect_parameters import EFFECT_NAME, EffectParameters
from ..scene.volume.geometry import ijk_to_world
from . import sample

SEGMENTATION, SEGMENT = "Lung tumour", "Tumour"
_FIELD_MM = 160.0
"""Width and height that the views show at least, so that the tumour is large."""
_STATUS_MILLISECONDS = 15000


def download_question() -> str:
    """What the user is asked before the CT is downloaded."""
    return _(
        "Download a CT of a lung tumour (18 MB) from raw.githubusercontent.com? It is test data of the pyradiomics project."
    )


def missing_step(packages_complete: bool, usable_models: Sequence[str]) -> str:
    """What has to be done before the sample can be segmented, as a text for the user; '' if nothing."""
    if not packages_complete:
        return _("First install the packages (step 1).")
    if not usable_models:
        text = _("First install a model (step 2): select {model} and press Download.")
        return text.format(model=model_title(DEFAULT_MODEL))
    return ""


class TryIt:
    """Opens the Segment Editor on the sample CT, with the effect active, and shows where to drag.

    What is there already is used again: the CT, the segmentation, the segment.
    """

    def __init__(self) -> None:
        self._hint = DragHint()

    @property
    def needs_download(self) -> bool:
        """Whether the CT is neither in the scene nor in Slicer's cache."""
        return sample.find_sample() is None and not sample.is_downloaded()

    def start(self, usable_models: Sequence[str]) -> None:
        """Begin, or come back to where it began. Downloads the CT if necessary: ask first.

        Args:
            usable_models: keys of the models that are installed, at least one.

        Raises:
            InputError: the sample could not be downloaded, or the effect is not registered.
        """
        volume = sample.find_sample() or sample.load_volume()
        segmentation, segment_id = _segment(volume)
        editor_node = _open_editor(volume, segmentation, segment_id, usable_models)
        _show_tumour(volume)
        parameters = EffectParameters(editor_node)
        self._hint.show(
            _("Drag a rectangle like this one"),
            volume,
            sample.SLICE,
            sample.RECTANGLE,
            editor_node,
            lambda: parameters.prompts_of(segment_id, volume, segmentation) is not None,
        )
        slicer.util.showStatusMessage(
            _("Drag a rectangle around the tumour in the red view: press at one corner, release at the opposite one."),
            _STATUS_MILLISECONDS,
        )

    def close(self) -> None:
        """Remove the hint."""
        self._hint.hide()


def _segment(volume: slicer.vtkMRMLScalarVolumeNode) -> tuple[slicer.vtkMRMLSegmentationNode, str]:
    """The segmentation of the sample and its segment, which may exist already."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    named = [node for node in nodes if node.GetNodeReference(role) is volume and _find(node) is not None]
    if named:
        return named[0], str(_find(named[0]))
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(SEGMENTATION)
    )
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node, node.GetSegmentation().AddEmptySegment("", SEGMENT)


def _find(node: slicer.vtkMRMLSegmentationNode) -> str | None:
    return node.GetSegmentation().GetSegmentIdBySegmentName(SEGMENT) or None


def _open_editor(
    volume: slicer.vtkMRMLScalarVolumeNode,
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    usable_models: Sequence[str],
) -> slicer.vtkMRMLSegmentEditorNode:
    """Open the Segment Editor with these nodes and the effect. Returns its node."""
    slicer.util.selectModule("SegmentEditor")
    module_widget = getattr(slicer.modules, "SegmentEditorWidget", None)
    if module_widget is None:
        raise InputError(_("The Segment Editor cannot be opened: restart Slicer."))
    editor: slicer.qMRMLSegmentEditorWidget = module_widget.editor
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)
    editor.setCurrentSegmentID(segment_id)
    node = editor.mrmlSegmentEditorNode()
    parameters = EffectParameters(node)
    if parameters.as_it_stands("Model") not in usable_models:
        parameters.set("Model", usable_models[0])
    editor.setActiveEffectByName(EFFECT_NAME)
    if editor.activeEffect() is None:
        raise InputError(_("The Segment Editor has no effect MedSAM: restart Slicer."))
    return node


def _show_tumour(volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show the tumour in the middle of the slice views, the red one axial."""
    manager = slicer.app.layoutManager()
    if not manager.sliceWidget("Red").visible:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.util.setSliceViewerLayers(background=volume, foreground=None, label=None, fit=True)
    manager.sliceWidget("Red").mrmlSliceNode().SetOrientation("Axial")
    box = sample.RECTANGLE
    middle = np.array([[(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, sample.SLICE]])
    r, a, s = map(float, transform_points(ijk_to_world(volume), middle)[0])
    for name in manager.sliceViewNames():
        node = manager.sliceWidget(name).mrmlSliceNode()
        x, y, z = node.GetFieldOfView()
        scale = _FIELD_MM / min(x, y)
        node.SetFieldOfView(x * scale, y * scale, z)
        node.JumpSliceByCentering(r, a, s)
