"""All that is known of one segment of one volume while it is contoured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import slicer

from ...engine.errors import Cancelled, InputError, MedSAMError
from ..volume.content import content_time
from ..volume.node_watch import NodeWatch, check_nodes
from ..volume.slice_stack import default_axis_of
from ..volume.view_plane import Plane, Stack, ViewGeometry, plane_of
from .current_result import CurrentResult, FinishedRun
from .effect_parameters import EffectParameters
from .prompts import Prompts

_MAX_UNDO_STEPS = 10
"""How many changes of the prompts can be taken back: their results are kept in memory."""


class Signal:
    """Calls every connected callback on `emit`, in the order in which they were connected.

    Callbacks are held strongly: call `disconnect_all` to release their owners.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callable[..., object]] = []

    def connect(self, callback: Callable[..., object]) -> None:
        self._callbacks.append(callback)

    def disconnect_all(self) -> None:
        self._callbacks.clear()

    def emit(self, *arguments: object) -> None:
        """Call the callbacks that are connected now; an exception of one of them is not caught."""
        for callback in tuple(self._callbacks):
            callback(*arguments)


class _UndoStep(NamedTuple):
    """Prompts before a change, and the run whose result was shown then."""

    prompts: Prompts | None
    run: FinishedRun | None


class SegmentState:
    """Nodes, options, prompts and result of a segment. Tools and runs change it, views show it, `changed` connects them.

    Attributes:
        parameters: the options, read from the scene whenever they matter.
        prompts: what the user has marked; None if nothing is marked.
        current: the current result, if there is one.
        problem: what went wrong last; None after the next action of the user.
        notes: what the user should read about the result.
        view: slice view that the user works in; None if unknown.
        views: returns all slice views.
        correcting: key slice whose rectangle is shown with handles; None if there is none.
        suspended: whether another segment is selected, so that nothing of this one is shown.
        gone: whether the volume, the segmentation or the segment has left the scene.
        changed: emitted, without arguments, whenever something of this looks different.
        redrawn: emitted instead if only the rectangle in the slice views does, as at every move of the mouse.
        previewed: emitted instead if a preview has come, which the user waits for.
        voxels_changed: emitted, without arguments, when the volume's voxels have changed, before `changed`.
        lost: emitted once, with the reason as a `MedSAMError`, when `gone` becomes True, before `changed`.

    Args:
        volume_node, segmentation_node: of one scene.
        segment_id: a segment of the segmentation.
        parameters: the options.

    Raises:
        InputError: a node or the segment is in no scene, or the volume cannot be used.
    """

    def __init__(
        self,
        volume_node: slicer.vtkMRMLScalarVolumeNode,
        segmentation_node: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        parameters: EffectParameters,
    ) -> None:
        self.volume_node, self.segmentation_node, self.segment_id = volume_node, segmentation_node, segment_id
        self.parameters = parameters
        self.prompts: Prompts | None = None
        self._undo_steps: list[_UndoStep] = []
        self.current = CurrentResult()
        self.problem: MedSAMError | None = None
        self.notes: list[str] = []
        self.view: ViewGeometry | None = None
        self.views: Callable[[], Sequence[ViewGeometry]] = tuple
        self.correcting: int | None = None
        self.suspended = self.gone = False
        self.changed, self.redrawn, self.previewed = Signal(), Signal(), Signal()
        self.voxels_changed, self.lost = Signal(), Signal()
        # Checked first, then watched: what refuses the volume must leave nothing behind that the scene could call.
        check_nodes(volume_node, segmentation_node, segment_id)
        default_axis_of(volume_node)
        self._content_time = content_time(volume_node)
        self._watch = NodeWatch(volume_node, segmentation_node, segment_id, self._lose, self.check_voxels)

    @property
    def segment_name(self) -> str:
        """Name of the segment; its ID if it is gone."""
        segment = self.segmentation_node.GetSegmentation().GetSegment(self.segment_id)
        return self.segment_id if segment is None else str(segment.GetName())

    @property
    def hidden(self) -> bool:
        """Whether no view shows this segment's prompts and result."""
        return self.gone or self.suspended

    # Geometry

    @property
    def plane(self) -> Plane | None:
        """Plane of the slices that the prompts are on; None without prompts."""
        return None if self.prompts is None else self.prompts.plane

    def stack(self, plane: Plane | None = None) -> Stack:
        """The volume in slices of `plane`, or of the prompts' plane, or along its default axis.

        Raises:
            InputError: the volume cannot be used.
        """
        return (plane or self.plane or Plane(default_axis_of(self.volume_node))).stack(self.volume_node)

    def plane_in(self, view: ViewGeometry) -> Plane:
        """Plane of what is marked in the view: the prompts' plane if the view shows it.

        Raises:
            InputError: the volume cannot be used.
        """
        if self.plane is not None and self.plane.is_shown_by(view, self.volume_node):
            return self.plane
        return plane_of(view, self.volume_node)

    def index_in(self, view: ViewGeometry, plane: Plane | None = None) -> int:
        """Slice of the plane, or of `plane_in`, that holds the centre of the view, clipped to the stack.

        Raises:
            InputError: the volume cannot be used.
        """
        stack = self.stack(plane or self.plane_in(view))
        centre = view.to_world((view.size[0] / 2, view.size[1] / 2))
        return int(np.clip(np.floor(stack.world_to_slice(centre[None])[0, 0] + 0.5), 0, stack.shape[0] - 1))

    def index_in_view(self, plane: Plane) -> int | None:
        """Slice of the plane that the user looks at: in `view`, or else in the first of `views`; None if no view shows one.

        Raises:
            InputError: the volume cannot be used.
        """
        for view in (self.view, *self.views()):
            if view is not None and plane.is_shown_by(view, self.volume_node):
                return self.index_in(view, plane)
        return None

    # Changes

    def change_prompts(self, prompts: Prompts | None) -> None:
        """Use these prompts, and store them in the scene. A result in another plane is dropped; no run begins."""
        if prompts is not self.prompts:
            self._undo_steps = [*self._undo_steps, _UndoStep(self.prompts, self.current.run)][-_MAX_UNDO_STEPS:]
        self._use(prompts)
        self._store()

    def amend_prompts(self, prompts: Prompts) -> None:
        """As `change_prompts`, as a part of the last change: it is taken back with it."""
        self._use(prompts)
        self._store()

    @property
    def can_undo_prompts(self) -> bool:
        """Whether `undo_prompts` has something to take back."""
        return bool(self._undo_steps)

    def undo_prompts(self) -> bool:
        """Take back the last change of the prompts; see `restore_prompts`. Returns False if there is none."""
        if not self._undo_steps:
            return False
        self.restore_prompts(self._undo_steps[-1].prompts)
        return True

    def restore_prompts(self, prompts: Prompts | None) -> None:
        """Go back to earlier prompts, and to the result that there was when they were changed. No run begins."""
        steps = self._undo_steps
        position = next((n for n in reversed(range(len(steps))) if steps[n].prompts is prompts), len(steps))
        run = steps[position].run if position < len(steps) else None
        self._undo_steps = steps[:position]
        self._use(prompts)
        if run is not None and run is not self.current.run:
            self.current.finish(run)
            self.current.compare_voxels(self.stack)
            self.show_result()
        elif prompts is not None and prompts.lineage != self.current.lineage:
            self.current.drop()
        self._store()

    def show_result(self) -> None:
        """Make the image of the current result, unless the segment is not selected or the volume cannot show it."""
        self.current.image = None
        if not self.hidden:
            with suppress(InputError):  # shown when the volume is used for a run or for writing
                self.current.restore(self.stack)

    def _store(self) -> None:
        content = None if self.prompts is None else self.prompts.content()
        self.parameters.set_prompts_of(self.segment_id, self.volume_node, self.segmentation_node, content)

    def read_prompts(self) -> None:
        """Use the prompts stored in the scene, if they are others: it was loaded, or a script has changed them.

        Sets `problem` if they cannot be read.
        """
        try:
            content = self.parameters.prompts_of(self.segment_id, self.volume_node, self.segmentation_node)
            if content != (None if self.prompts is None else self.prompts.content()):
                self._undo_steps = []
                self._use(None if content is None else Prompts.from_content(content))
        except InputError as error:
            self.fail(error)

    def _use(self, prompts: Prompts | None) -> None:
        if prompts is None or prompts.plane != self.current.plane:
            self.current.drop()
        if prompts is None or self.correcting not in prompts.keys:
            self.correcting = None
        self.prompts = prompts

    def fail(self, error: MedSAMError) -> None:
        """Set `problem`, unless the user has cancelled, and emit `changed`."""
        if not isinstance(error, Cancelled):
            self.problem = error
        self.changed.emit()

    def check_voxels(self) -> None:
        """Set `current.outdated` if the volume's voxels have changed: they were edited, or it shows another frame.

        Called whenever the volume is modified. Does nothing while the segment is not selected.
        """
        time = content_time(self.volume_node)
        if self.gone or self.suspended or time == self._content_time:
            return
        self._content_time = time
        self.current.compare_voxels(self.stack)
        self.voxels_changed.emit()
        self.changed.emit()

    # The end

    def check_nodes(self) -> None:
        """Raises InputError if the volume, the segmentation or the segment is gone."""
        self._watch.check()

    def close(self) -> None:
        """Observe the nodes no longer and emit nothing more. The prompts stay in the scene."""
        self._watch.stop()
        self.changed.disconnect_all()
        self.redrawn.disconnect_all()
        self.previewed.disconnect_all()
        self.voxels_changed.disconnect_all()
        self.lost.disconnect_all()

    def _lose(self, reason: MedSAMError) -> None:
        if self.gone:
            return
        self.gone = True
        if self.current.result is not None and not self.current.applied:
            self.problem = reason
        self.lost.emit(reason)
        self.current.drop()
        self.changed.emit()
