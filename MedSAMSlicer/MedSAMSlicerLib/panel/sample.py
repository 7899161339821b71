"""The CT of a lung tumour that Slicer's Sample Data module offers: loaded, shown in the lung window, found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..engine.errors import InputError
from ..engine.intensity import CT_PRESETS
from ..engine.prompts import Box
from ..scene.state.effect_parameters import EffectParameters
from .setup.sample_data import IMAGE, SAMPLE

WINDOW = "lung"
SLICE, RECTANGLE = 20, Box(316, 334, 387, 397)
"""A slice along K that shows the tumour, and the rectangle around it, in slice pixels."""
# Marks the volume in a scene, also after it was renamed or saved.
_ATTRIBUTE = "MedSAMSlicer.Sample"


def load_sample(source: Any) -> list[Any]:
    """Download a data set, unless it is in Slicer's cache, and show it as the tumour is seen best.

    Args:
        source: the `SampleDataSource`.

    Returns:
        The nodes that were loaded; the Sample Data module says why others were not.
    """
    import SampleData

    widget = getattr(slicer.modules, "SampleDataWidget", None)
    logic = SampleData.SampleDataLogic(None if widget is None else widget.logMessage)
    nodes = logic.downloadFromSource(source)
    for node in nodes:
        if hasattr(node, "IsA") and node.IsA("vtkMRMLScalarVolumeNode"):
            _show_in_lung_window(node)
    return list(nodes)


def find_sample() -> slicer.vtkMRMLScalarVolumeNode | None:
    """The CT, if it is in the scene."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return next((node for node in volumes if node.GetAttribute(_ATTRIBUTE) == IMAGE[0]), None)


def is_downloaded() -> bool:
    """Whether the CT is in Slicer's cache, so that loading it needs no network connection."""
    return (Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()) / IMAGE[0]).is_file()


def load_volume() -> slicer.vtkMRMLScalarVolumeNode:
    """The CT, downloaded and loaded.

    Raises:
        InputError: it could not be downloaded or loaded.
    """
    import SampleData

    try:
        load_sample(SampleData.SampleDataLogic().sourceForSampleName(SAMPLE))
    except (OSError, ValueError) as error:
        raise InputError(_("The sample could not be downloaded: check the network connection.")) from error
    volume = find_sample()
    if volume is None:
        raise InputError(_("The sample could not be downloaded: check the network connection."))
    return volume


def _show_in_lung_window(volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    volume.SetAttribute(_ATTRIBUTE, IMAGE[0])
    display = volume.GetDisplayNode()
    if display is not None:
        level, width = CT_PRESETS[WINDOW]
        display.AutoWindowLevelOff()
        display.SetWindowLevel(width, level)
    parameters = EffectParameters(_segment_editor_node())
    if parameters.as_it_stands("Window") == "auto":
        parameters.set("Window", WINDOW)


def _segment_editor_node() -> slicer.vtkMRMLSegmentEditorNode:
    """The node of the Segment Editor, made as its module does it."""
    node = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.UnRegister(None)
        node.SetSingletonTag("SegmentEditor")
        node = slicer.mrmlScene.AddNode(node)
    return node
