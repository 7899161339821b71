"""An outline in the slice views that shows where to drag the first rectangle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer

from ...engine.prompts import Box
from ...engine.stack import slice_to_ijk
from ...engine.volume.affine import transform_points
from ..volume.geometry import ijk_to_world


class DragHint:
    """Outline of a rectangle with a text at one corner, until the user has drawn.

    The outline is a Markups curve that cannot be moved, is in no list of nodes, and is not saved with the scene.
    """

    def __init__(self) -> None:
        self._curve: slicer.vtkMRMLMarkupsClosedCurveNode | None = None
        self._observed: tuple[slicer.vtkMRMLSegmentEditorNode, int] | None = None

    def show(
        self,
        text: str,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        index: int,
        box: Box,
        editor_node: slicer.vtkMRMLSegmentEditorNode,
        is_drawn: Callable[[], bool],
    ) -> None:
        """Show the hint, in place of an earlier one.

        Args:
            text: what to do, in a few words.
            volume_node: the volume.
            index: slice along K.
            box: rectangle on that slice, in slice pixels.
            editor_node: node whose effect parameters change when the user draws.
            is_drawn: tells whether the user has drawn. If so, nothing is shown.
        """
        self.hide()
        if is_drawn():
            return
        # A label stands above and to the right of its point. This corner is the upper left one where a scanner's rows run to
        # the back: the text covers nothing of what is inside.
        corners = np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])
        to_world = ijk_to_world(volume_node) @ slice_to_ijk("K", index)
        self._curve = _curve(volume_node.GetScene(), text, transform_points(to_world, np.c_[corners, np.zeros(4)]))
        event = slicer.vtkMRMLSegmentEditorNode.EffectParameterModified
        tag = editor_node.AddObserver(event, lambda *_: self.hide() if is_drawn() else None)
        self._observed = (editor_node, tag)

    def hide(self) -> None:
        """Remove the hint, if there is one."""
        if self._observed is not None:
            node, tag = self._observed
            node.RemoveObserver(tag)
        curve, self._curve, self._observed = self._curve, None, None
        # Closing the scene may have removed it already.
        if curve is not None and curve.GetScene() is not None:
            curve.GetScene().RemoveNode(curve)


def _curve(scene: slicer.vtkMRMLScene, text: str, corners: np.ndarray) -> slicer.vtkMRMLMarkupsClosedCurveNode:
    """A curve through the (4, 3) corners in world RAS mm, the first of them labelled."""
    node = slicer.vtkMRMLMarkupsClosedCurveNode()
    node.SetName(scene.GenerateUniqueName("Hint"))
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(True)
    node.SetLocked(True)
    node.SetCurveTypeToLinear()
    # Before it is in the scene: the views draw each point that is added.
    for number, corner in enumerate(corners):
        node.AddControlPointWorld(*map(float, corner))
        node.SetNthControlPointLabel(number, text if number == 0 else "")
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetGlyphScale(1.0)
    # A share of the glyphs' size: a thinner line has gaps where it lies between the pixels of a view.
    display.SetLineThickness(0.6)
    return node
