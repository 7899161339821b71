"""Results that were not applied when the user saves or closes the scene, or exits Slicer: the user is told, and can apply
them. A run that Slicer's exit would end is mentioned, too."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from ..engine.diagnostics.log import get_logger, log_error
from ..engine.errors import MedSAMError
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.segment_state import SegmentState
from ..scene.writing.result_writer import ResultWriter
from ..scene.writing.segment_editor import LogicEditor
from ..scene.writing.segment_target import copy_masking
from .commands import can_ask
from .hints import is_visible
from .texts import found_something, written_text

_log = get_logger(__name__)
_BEFORE_OTHERS = 1.0
"""Priority among observers: what is asked about must not have been cleared yet."""

EditorAndWriter = tuple[ContourEditor, ResultWriter]


class UnappliedResults:
    """Asks about results that were not applied. Scripts, which nobody watches, are never stopped by a question.

    Slicer tells of a saved file only afterwards, and of a scene that is closed only when it can no longer be prevented.

    Args:
        effect: Slicer's half of the effect.
        editors: returns editor and writer of each segment that was contoured.
        on_applied: called when results were applied.
    """

    def __init__(
        self,
        effect: slicer.qSlicerSegmentEditorScriptedEffect,
        editors: Callable[[], list[EditorAndWriter]],
        on_applied: Callable[[], None],
    ) -> None:
        self._effect, self._editors, self._on_applied = effect, editors, on_applied
        self._filter: _CloseFilter | None = None
        self._stop_scene: Callable[[], object] = lambda: None
        self._saved_lately = self._asking = False

    def watch(self) -> None:
        """Be told of files that are saved, scenes that are closed, and the end of Slicer."""
        window = slicer.util.mainWindow()
        if self._filter is not None or window is None:
            return
        self._filter = _CloseFilter()
        self._filter.on_close = self._may_exit
        window.installEventFilter(self._filter)
        slicer.app.coreIOManager().fileSaved.connect(self._file_saved)
        self._stop_scene = _observe_closing(slicer.mrmlScene, self._scene_closes)

    def stop(self) -> None:
        """Be told no longer."""
        if self._filter is None:
            return
        if (window := slicer.util.mainWindow()) is not None:
            window.removeEventFilter(self._filter)
        self._filter = None
        slicer.app.coreIOManager().fileSaved.disconnect(self._file_saved)
        self._stop_scene()

    # What Slicer tells

    def _file_saved(self, properties: dict[str, Any]) -> None:
        if is_script(inspect.currentframe()) or self._saved_lately:
            return
        saved = properties.get("nodeID")  # none for the scene
        nodes = {editor.state.segmentation_node.GetID() for editor, _writer in self._unapplied()}
        if nodes and (not saved or saved in nodes):
            self._saved_lately = True
            qt.QTimer.singleShot(0, self._saved)  # once for all files that the dialog saves

    def _saved(self) -> None:
        text = _("Not applied yet, and therefore not in what was saved: {segments}. Apply now? Then save again.")
        self._saved_lately = False
        found = self._unapplied()
        if self._answer(_question(text, found), qt.QMessageBox.Yes | qt.QMessageBox.No) == qt.QMessageBox.Yes:
            self._apply(found)

    def _scene_closes(self) -> None:
        text = _("Not applied yet: {segments}. What is not applied is lost with the scene. Apply and save now?")
        found = self._unapplied()
        if self._answer(_question(text, found), qt.QMessageBox.Yes | qt.QMessageBox.No) == qt.QMessageBox.Yes:
            self._apply(found)
            slicer.app.ioManager().openSaveDataDialog()

    def _may_exit(self) -> bool:
        if self._asking:
            return False  # the system may ask Slicer to exit while a question is open
        text = _("Not applied yet: {segments}. What is not applied is lost. Apply before Slicer exits?")
        found = self._unapplied()
        buttons = qt.QMessageBox.Yes | qt.QMessageBox.No if found else qt.QMessageBox.Yes
        answer = self._answer(
            "\n\n".join(filter(None, (_question(text, found), self._about_run(not found)))),
            buttons | qt.QMessageBox.Cancel,
        )
        if answer == qt.QMessageBox.Yes and found:
            return self._apply(found)
        return answer != qt.QMessageBox.Cancel

    # What is done

    def _unapplied(self) -> list[EditorAndWriter]:
        """Those with a result that was not applied, outdated ones included."""
        found = []
        for editor, writer in self._editors():
            state = editor.state
            if not state.gone and not state.current.applied and found_something(editor):
                state.current.compare_voxels(state.stack)
                found.append((editor, writer))
        return found

    def _about_run(self, ask: bool) -> str:
        """What becomes of a run under way when Slicer exits; empty without one."""
        running = [editor.state for editor, _writer in self._editors() if editor.running or editor.frames.running]
        if not running:
            return ""
        text = _("Still being contoured: {segments}. The run is lost.").format(segments=_names(running))
        return text + " " + _("Exit all the same?") if ask else text

    def _answer(self, text: str, buttons: int) -> int | None:
        """What the user answers to a question; None if it is empty, or there is nobody to ask."""
        if not text or self._asking or not can_ask():
            return None
        self._asking = True
        try:
            answer = slicer.util.messageBox(
                text,
                windowTitle="MedSAM",
                icon=qt.QMessageBox.Question,
                standardButtons=buttons,
            )
        finally:
            self._asking = False
        return int(answer)

    def _apply(self, found: list[EditorAndWriter]) -> bool:
        """Apply them, each under the masking of the Segment Editor. Returns False if one of them could not be applied."""
        failures = []
        for editor, writer in found:
            state = editor.state
            if state.gone or state.current.applied:
                continue  # removed, or applied at the end of a run, while the question was open
            try:
                logic_editor = LogicEditor(state.segmentation_node, state.segment_id, state.volume_node)
                try:
                    copy_masking(state.segmentation_node, logic_editor.node)
                    node = self._effect.parameterSetNode()
                    if node is not None and node.GetSegmentationNode() is state.segmentation_node:
                        self._effect.saveStateForUndo()
                    written = writer.write(logic_editor)
                finally:
                    logic_editor.close()
                state.notes = [written_text(written, state.parameters.mode)]
            except MedSAMError as error:
                log_error(_log, error, "a result could not be applied")
                failures.append(str(error))
        self._on_applied()
        if failures:
            slicer.util.messageBox("\n".join(failures), windowTitle="MedSAM", icon=qt.QMessageBox.Warning)
        return not failures


def _question(text: str, found: list[EditorAndWriter]) -> str:
    """A question about `segments`, and what `Apply` would ask about some of them; empty without any."""
    states = [editor.state for editor, _writer in found]
    if not states:
        return ""
    parts = [text.format(segments=_names(states))]
    misfits = [state for state in states if not state.current.fits(state.stack)]
    if misfits:
        about = _("Cannot be applied, as the volume has other slices now: {segments}.")
        parts.append(about.format(segments=_names(misfits)))
    if outdated := [state for state in states if state.current.outdated and state not in misfits]:
        about = _(
            "Outdated: {segments}. The volume shows another frame than the result was made from, or its voxels have "
            "changed. 'Yes' applies the result all the same."
        )
        parts.append(about.format(segments=_names(outdated)))
    if hidden := [state for state in states if not is_visible(state.segmentation_node, state.segment_id)]:
        parts.append(_("Hidden: {segments}.").format(segments=_names(hidden)))
    return "\n\n".join(parts)


def _names(states: list[SegmentState]) -> str:
    return ", ".join(state.segment_name for state in states)


def is_script(frame: FrameType | None) -> bool:
    """Whether Slicer called the function of this frame on behalf of a script, not of a user who acts in its windows."""
    return frame is not None and frame.f_back is not None


class _CloseFilter(qt.QObject):
    """Keeps a window open while `on_close` returns False."""

    on_close: Callable[[], bool] = staticmethod(lambda: True)

    def eventFilter(self, _watched: qt.QObject, event: qt.QEvent) -> bool:
        if event.type() != qt.QEvent.Close or is_script(inspect.currentframe()) or self.on_close():
            return False
        event.ignore()
        return True


def _observe_closing(scene: slicer.vtkMRMLScene, on_close: Callable[[], None]) -> Callable[[], object]:
    """Call a method when the user closes the scene. Returns what ends that. Holds the method's owner weakly."""
    weak = weakref.WeakMethod(on_close)

    def closes(_scene: vtk.vtkObject, _event: str) -> None:
        method = weak()
        if method is not None and not is_script(inspect.currentframe()):
            method()

    tag = scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, closes, _BEFORE_OTHERS)
    return lambda: scene.RemoveObserver(tag)
