"""Notices when a volume, a segmentation or a segment that is worked on leaves the scene."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import slicer
import vtk

from ...engine.errors import InputError
from ...engine.i18n import tr as _
from .geometry import label


def check_nodes(
    volume_node: slicer.vtkMRMLScalarVolumeNode,
    segmentation_node: slicer.vtkMRMLSegmentationNode | None,
    segment_id: str | None,
) -> None:
    """Raises InputError if a node or the segment is missing or in no scene, or the nodes are of different scenes.

    Args:
        segment_id: None: no segment is expected, and perhaps no segmentation.
    """
    nodes = [(volume_node, _("no volume is selected: choose one"))]
    if segmentation_node is not None or segment_id is not None:
        nodes.append((segmentation_node, _("no segmentation is selected: choose one")))
    for node, missing in nodes:
        if node is None:
            raise InputError(missing)
        if node.GetScene() is None or not node.GetScene().IsNodePresent(node):
            raise InputError(_("{node} was deleted: choose another").format(node=label(node)))
    if segmentation_node is None:
        return
    if volume_node.GetScene() is not segmentation_node.GetScene():
        raise InputError(
            _("{volume_node} is of another scene than the segmentation: choose one of the same").format(
                volume_node=label(volume_node)
            )
        )
    if segment_id is not None and not _has_segment(segmentation_node, segment_id):
        raise InputError(
            _("{segmentation_node} has no segment '{segment_id}': choose another segment").format(
                segmentation_node=label(segmentation_node), segment_id=segment_id
            )
        )


class NodeWatch:
    """Observes a volume, a segmentation and one of its segments. Holds its owner weakly, and stops with it.

    Args:
        volume_node, segmentation_node: nodes of one scene; the segmentation is None if there is none.
        segment_id: a segment of the segmentation; None if there is none.
        on_leaving: a method, called with the reason when one of them leaves the scene.

    Raises:
        InputError: one of them is missing or in no scene.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode | None,
        segment_id: str | None,
        on_leaving: Callable[[InputError], None],
    ) -> None:
        self._volume_node, self._segmentation_node, self._segment_id = volume_node, segmentation_node, segment_id
        self._tell = weakref.WeakMethod(on_leaving)
        self.check()
        self._observe()

    def check(self) -> None:
        """Raises InputError if one of them is gone or missing."""
        check_nodes(self._volume_node, self._segmentation_node, self._segment_id)

    def stop(self) -> None:
        """Observe no longer."""
        self._stop()

    def _observe(self) -> None:
        # The scene outlives the watch and keeps its observers: they hold the watch weakly.
        weak = weakref.ref(self)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def on_node(_scene: vtk.vtkObject, _event: str, node: vtk.vtkObject) -> None:
            watch = weak()
            if watch is not None and (node is watch._volume_node or node is watch._segmentation_node):
                watch._leaving(
                    _("{node} was deleted during the run: nothing was written, choose another").format(node=label(node))
                )

        def on_close(_scene: vtk.vtkObject, _event: str) -> None:
            if (watch := weak()) is not None:
                watch._leaving(_("the scene was closed during the run: nothing was written, load the volume again"))

        def on_segment(_segmentation: vtk.vtkObject, _event: str) -> None:
            watch = weak()
            if watch is not None and watch._segment_is_gone():
                text = _("segment '{segment}' was deleted during the run: nothing was written, choose another")
                watch._leaving(text.format(segment=watch._segment_id))

        scene = self._volume_node.GetScene()
        events = [
            (scene, slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, on_node),
            (scene, slicer.vtkMRMLScene.StartCloseEvent, on_close),
        ]
        if self._segmentation_node is not None and self._segment_id is not None:
            segmentation = self._segmentation_node.GetSegmentation()
            events.append((segmentation, slicer.vtkSegmentation.SegmentRemoved, on_segment))
        tags = [(subject, subject.AddObserver(event, observer)) for subject, event, observer in events]
        # A scene closes itself in its destructor, where calling an observer in Python crashes. So the observers keep
        # the scene alive until they are removed, and are removed with the watch even if nobody stops it.
        self._stop = weakref.finalize(self, _remove_observers, tags)

    def _segment_is_gone(self) -> bool:
        node, segment_id = self._segmentation_node, self._segment_id
        return node is not None and segment_id is not None and not _has_segment(node, segment_id)

    def _leaving(self, reason: str) -> None:
        if (tell := self._tell()) is not None:
            tell(InputError(reason))


def _has_segment(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> bool:
    segmentation = segmentation_node.GetSegmentation()
    return segmentation is not None and segmentation.GetSegment(segment_id) is not None


def _remove_observers(tags: list[tuple[vtk.vtkObject, int]]) -> None:
    for subject, tag in tags:
        subject.RemoveObserver(tag)
