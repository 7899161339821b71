"""Keeps an editor for the segment that is selected in the Segment Editor, the inference process, and their timer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..panel.setup import embedding_caches
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.effect_parameters import EffectParameters
from ..scene.state.segment_state import SegmentState
from ..scene.worker.transport import Transport
from ..scene.worker.worker_client import WorkerClient
from ..scene.writing.result_writer import ResultWriter
from .slice_views import geometry_of, slice_views

STEP_MILLISECONDS = 20

_Selection = tuple[Any, Any, str]
"""Volume node, segmentation node, segment ID."""


@dataclass(frozen=True)
class _Suspended:
    """Editor and writer of a segment that is not selected, whose result was not applied."""

    editor: ContourEditor
    writer: ResultWriter

    def close(self) -> None:
        self.editor.close()
        self.writer.close()


class EffectController:
    """Follows the selection. A result that was not applied is kept until its segment is selected again.

    Attributes:
        client: the inference process.
        editor: of the selected segment; None if nothing is selected that can be contoured.
        writer: writes the editor's result.
        problem: why there is no editor although a segment is selected.

    Args:
        make_transport: makes the transport to an inference process; called when the first slice is needed.
        preferred: as for `EffectParameters`.
        on_change: called when something looks different.
        on_redraw: called instead if only the rectangle or preview in the slice views does; with True if a preview has come.
        on_result: called when a run has finished.
        on_step: called after each step of the timer, unless messages of the inference process wait.
        drawing: whether `on_step` has something left to do.
    """

    def __init__(
        self,
        make_transport: Callable[[], Transport],
        preferred: Callable[[], tuple[str, str]],
        on_change: Callable[[], None],
        on_redraw: Callable[[bool], None],
        on_result: Callable[[], None],
        on_step: Callable[[], None],
        drawing: Callable[[], bool],
    ) -> None:
        self.client = WorkerClient(make_transport)
        self.editor: ContourEditor | None = None
        self.writer: ResultWriter | None = None
        self.problem: MedSAMError | None = None
        self._preferred, self._on_change, self._on_redraw = preferred, on_change, on_redraw
        self._on_result, self._on_step, self._drawing = on_result, on_step, drawing
        self._suspended: dict[_Selection, _Suspended] = {}
        self._clear_requested = False
        self._timer = qt.QTimer()
        self._timer.interval = STEP_MILLISECONDS
        self._timer.connect("timeout()", self._step)
        embedding_caches.register(self)

    @property
    def problem_now(self) -> MedSAMError | None:
        """What went wrong last, in the editor or on the way to one."""
        return (None if self.editor is None else self.editor.problem) or self.problem

    @property
    def waiting(self) -> list[str]:
        """Names of the other segments with a result that was not applied."""
        states = [one.editor.state for one in self._suspended.values()]
        return [state.segment_name for state in states if not (state.gone or state.current.applied)]

    @property
    def editors(self) -> list[tuple[ContourEditor, ResultWriter]]:
        """Editor and writer of each segment whose result is kept, the selected one last."""
        selected = [] if self.editor is None or self.writer is None else [(self.editor, self.writer)]
        return [(one.editor, one.writer) for one in self._suspended.values()] + selected

    def is_for(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> bool:
        """Whether the editor belongs to what is selected in the Segment Editor of this parameter node."""
        if self.editor is None or self.editor.state.gone or self.editor.parameters.node is not node:
            return False
        return _selected(node) == _selection(self.editor)

    def follow(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        """Make or resume the editor of what is selected. Another segment's run is cancelled, its result is kept."""
        if self.is_for(node):
            return
        wanted, note = _selected(node), self._leave()
        if wanted is not None and node is not None:
            try:
                self._take_up(wanted, node)
                self.problem = None
            except MedSAMError as error:
                self.problem = error
        if self.editor is not None and note:
            self.editor.state.notes = [note]
        self._changed()

    def _leave(self) -> str:
        """Suspend or close the editor. Returns what the user should read about that."""
        editor, writer = self.editor, self.writer
        self.editor = self.writer = None
        if editor is None or writer is None:
            return ""
        state = editor.state
        if state.gone:
            # Whoever deletes something during a run reads that nothing was written.
            self.problem = state.problem
            _Suspended(editor, writer).close()
            return ""
        self.problem = None
        was_running = editor.running
        if state.current.result is not None and not state.current.applied:
            editor.suspend()
            self._suspended[_selection(editor)] = _Suspended(editor, writer)
        else:
            _Suspended(editor, writer).close()
        if not was_running:
            return ""
        text = _("The run for segment '{segment}' was cancelled because another one was selected. Nothing was written.")
        return text.format(segment=state.segment_name)

    def _take_up(self, wanted: _Selection, node: slicer.vtkMRMLSegmentEditorNode) -> None:
        """Raises InputError if the volume cannot be used."""
        suspended = self._suspended.pop(wanted, None)
        if suspended is not None and suspended.editor.parameters.node is node:
            suspended.editor.resume()
            self.editor, self.writer = suspended.editor, suspended.writer
            return
        if suspended is not None:
            suspended.close()
        state = SegmentState(*wanted, EffectParameters(node, self._preferred))
        self.writer = ResultWriter(state)
        self.editor = ContourEditor(state, self.client, self._on_result, self.writer)
        state.changed.connect(self._changed)
        state.views = lambda: [geometry_of(view) for view in slice_views()]
        state.redrawn.connect(lambda: self._redrawn(False))
        state.previewed.connect(lambda: self._redrawn(True))

    def wake(self) -> None:
        """Run the timer as long as there is something to do."""
        checking = self.writer is not None and self.writer.undo_suspected
        gone = self.editor is not None and self.editor.state.gone
        working = self.editor.busy if self.editor is not None else not self.client.idle
        busy = self._clear_requested or checking or gone or working or self._drawing()
        if busy and not self._timer.isActive():
            self._timer.start()
        elif not busy and self._timer.isActive():
            self._timer.stop()

    def close(self) -> None:
        """Cancel the run, drop results that were not applied, and end the inference process."""
        self._leave()
        for one in self._suspended.values():
            one.close()
        self._suspended = {}
        self.client.close()
        self._timer.stop()
        # Python's garbage collector cannot see the reference cycle through Qt.
        self._timer.disconnect("timeout()", self._step)

    def clear_embedding_cache(self) -> bool:
        """As `CacheOwner.clear_embedding_cache`: the process ends when it is idle."""
        existed = self.client.transport is not None
        self._clear_requested = True
        if self.editor is not None:
            self.editor.forget_encoded()
        self._clear_if_idle()
        return existed

    def _clear_if_idle(self) -> None:
        if self._clear_requested and self.client.idle:
            self._clear_requested = False
            self.client.close()

    def _step(self) -> None:
        if self.editor is not None and self.editor.state.gone:
            # Not within the callback of the removal, which may still be running; but soon, because the editor holds the volume.
            self._leave()
            self._on_change()
        if self.editor is not None:
            if self._clear_requested:
                # The client would never be idle if slices were encoded ahead meanwhile.
                self.editor.forget_encoded()
            self.editor.step()
        else:
            self.client.step()
        if self.writer is not None:
            self.writer.check_undo()
        self._clear_if_idle()
        if not self.client.reading:  # whatever has arrived is taken before anything is drawn
            self._on_step()
        self.wake()

    def _redrawn(self, previewed: bool) -> None:
        self._on_redraw(previewed)
        self.wake()

    def _changed(self) -> None:
        for selection in [selection for selection, one in self._suspended.items() if one.editor.state.gone]:
            self._suspended.pop(selection).close()
        self.wake()
        self._on_change()


def _selection(editor: ContourEditor) -> _Selection:
    return editor.state.volume_node, editor.state.segmentation_node, editor.state.segment_id


def _selected(node: slicer.vtkMRMLSegmentEditorNode | None) -> _Selection | None:
    """Volume, segmentation and segment that are selected; None if one of them is missing."""
    if node is None or node.GetScene() is None:
        return None
    volume, segmentation, segment = (
        node.GetSourceVolumeNode(),
        node.GetSegmentationNode(),
        node.GetSelectedSegmentID(),
    )
    if volume is None or segmentation is None or not segment:
        return None
    if segmentation.GetSegmentation() is None or segmentation.GetSegmentation().GetSegment(segment) is None:
        return None
    return volume, segmentation, segment
