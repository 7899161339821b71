"""Detects that a volume, a segmentation or a segment is removed from the scene, and that a volume is modified."""

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
    """Check that the nodes and the segment are in one scene.

    Args:
        volume_node: the volume.
        segmentation_node: the segmentation; may be None if `segment_id` is None.
        segment_id: ID of a segment of the segmentation; None: no segment is required.

    Raises:
        InputError: a node or the segment is missing or not in a scene, or the nodes are in different scenes.
    """
    nodes = [(volume_node, _("no volume is selected: choose one"))]
    if segmentation_node is not None or segment_id is not None:
        nodes.append((segmentation_node, _("no segmentation is selected: choose one")))
    for node, missing in nodes:
        if node is None:
            raise InputError(missing)
        if node.GetScene() is None or not node.GetScene().IsNodePresent(node):
            raise InputError(_("{node} was deleted: choose another one").format(node=label(node)))
    if segmentation_node is None:
        return
    if volume_node.GetScene() is not segmentation_node.GetScene():
        raise InputError(
            _("{volume_node} and the segmentation are in different scenes: choose a volume of the same scene").format(
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
    """Observes a volume, a segmentation and a segment until it is stopped or garbage collected.

    Args:
        volume_node: the volume.
        segmentation_node: the segmentation, in the same scene; None: only the volume is observed.
        segment_id: ID of a segment of the segmentation; None: no segment is observed.
        on_removed: bound method, called with the reason when a node or the segment is removed or the scene is closed.
            Only a weak reference is kept.
        on_modified: bound method, called when the volume is modified or shows another image, such as the next frame of a
            sequence; None: not observed. Only a weak reference is kept.

    Raises:
        InputError: a node or the segment is missing or not in a scene.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode | None,
        segment_id: str | None,
        on_removed: Callable[[InputError], None],
        on_modified: Callable[[], None] | None = None,
    ) -> None:
        self._volume_node, self._segmentation_node, self._segment_id = volume_node, segmentation_node, segment_id
        self._on_removed = weakref.WeakMethod(on_removed)
        self._on_modified = None if on_modified is None else weakref.WeakMethod(on_modified)
        self._segment_name = segment_id
        self.check()
        self._observe()

    def check(self) -> None:
        """Check that the nodes and the segment are still in the scene.

        Raises:
            InputError: a node or the segment has been removed.
        """
        check_nodes(self._volume_node, self._segmentation_node, self._segment_id)
        if self._segmentation_node is not None and self._segment_id is not None:
            # Once the segment is gone, nobody knows how the user called it.
            self._segment_name = self._segmentation_node.GetSegmentation().GetSegment(self._segment_id).GetName()

    def stop(self) -> None:
        """Remove the observers."""
        self._stop()

    def _observe(self) -> None:
        # The scene owns the observers and outlives the watch: they must not keep it alive.
        weak = weakref.ref(self)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def on_node(_scene: vtk.vtkObject, _event: str, node: vtk.vtkObject) -> None:
            watch = weak()
            if watch is not None and (node is watch._volume_node or node is watch._segmentation_node):
                watch._report(
                    _("{node} was deleted, and nothing was written: choose another one").format(node=label(node))
                )

        def on_close(_scene: vtk.vtkObject, _event: str) -> None:
            if (watch := weak()) is not None:
                watch._report(_("the scene was closed, and nothing was written: load the volume again"))

        def on_segment(_segmentation: vtk.vtkObject, _event: str) -> None:
            watch = weak()
            if watch is not None and watch._segment_is_gone():
                # Slicer empties a segmentation that is deleted in the Data module before it takes it from the scene.
                text = _(
                    "segment '{segment}', or its segmentation, was deleted, and nothing was written: choose another one"
                )
                watch._report(text.format(segment=watch._segment_name))

        def on_volume(_volume: vtk.vtkObject, _event: str) -> None:
            watch = weak()
            modified = None if watch is None or watch._on_modified is None else watch._on_modified()
            if modified is not None:
                modified()

        scene = self._volume_node.GetScene()
        events = [
            (scene, slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, on_node),
            (scene, slicer.vtkMRMLScene.StartCloseEvent, on_close),
        ]
        if self._segmentation_node is not None and self._segment_id is not None:
            segmentation = self._segmentation_node.GetSegmentation()
            events.append((segmentation, slicer.vtkSegmentation.SegmentRemoved, on_segment))
        if self._on_modified is not None:
            for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
                events.append((self._volume_node, event, on_volume))
        tags = [(subject, subject.AddObserver(event, observer)) for subject, event, observer in events]
        # The destructor of a scene closes the scene, and calling a Python observer there crashes. Therefore `tags` keeps
        # the scene alive until the observers are removed, at the latest when the watch is garbage collected.
        self._stop = weakref.finalize(self, _remove_observers, tags)

    def _segment_is_gone(self) -> bool:
        node, segment_id = self._segmentation_node, self._segment_id
        return node is not None and segment_id is not None and not _has_segment(node, segment_id)

    def _report(self, reason: str) -> None:
        if (on_removed := self._on_removed()) is not None:
            on_removed(InputError(reason))


def _has_segment(segmentation_node: slicer.vtkMRMLSegmentationNode, segment_id: str) -> bool:
    segmentation = segmentation_node.GetSegmentation()
    return segmentation is not None and segmentation.GetSegment(segment_id) is not None


def _remove_observers(tags: list[tuple[vtk.vtkObject, int]]) -> None:
    for subject, tag in tags:
        subject.RemoveObserver(tag)
