"""Commands of the effect: buttons and keys call them, and scripts may: `effect = editor.activeEffect().self()`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Literal

import slicer
from slicer.i18n import tr as _

from ..engine.errors import InputError, MedSAMError
from ..panel.copy_details import copy_details
from ..scene.editing.contour_editor import ContourEditor
from ..scene.roi.fit_to_segment import roi_around_segment
from ..scene.state.slice_range import set_slice_range_end
from ..scene.volume.view_plane import ViewGeometry
from . import slice_views
from .controller import EffectController
from .editor_adapter import EditorAdapter
from .texts import outdated_question, outdated_text, written_text

STATUS_MILLISECONDS = 10000


def can_ask() -> bool:
    """Whether somebody is there to answer a dialog."""
    return slicer.util.mainWindow() is not None and not slicer.app.testingEnabled()


class Commands:
    """The commands. If one fails, `contouring.problem` says why, and the options frame shows it."""

    scriptedEffect: slicer.qSlicerSegmentEditorScriptedEffect
    _controller: EffectController

    @property
    def contouring(self) -> ContourEditor | None:
        """Prompts, runs and result of the selected segment; None if nothing is selected that can be contoured."""
        return self._controller.editor

    def run(self) -> None:
        """Run the prompts again."""
        if self.contouring is not None:
            self.contouring.run()

    def cancel(self) -> None:
        """Cancel the run; nothing is written."""
        if self.contouring is not None:
            self.contouring.cancel()

    def escape(self) -> bool:
        """Drop what is being drawn, or cancel the run that the last rectangle began, or drop the clicks since the last run.

        Returns:
            False if there is nothing of the kind.
        """
        return self.contouring is not None and self.contouring.mouse.escape()

    def apply(self) -> None:
        """Write the result to the selected segment in one undo step; again, if that was undone."""
        if self.contouring is not None and self.contouring.result is not None and not self.contouring.running:
            self._attempt(self._apply)

    def contourAllFrames(self) -> None:
        """Contour the object in all frames of the sequence that the volume shows, and write a segmentation for each."""
        if self.contouring is not None and not self.contouring.running:
            self.contouring.contour_all_frames()

    def discard(self) -> None:
        """Drop prompts and result; what was applied stays."""
        if self.contouring is not None:
            self.contouring.discard()

    def undoPrompt(self) -> bool:
        """Take back the last change of the prompts, with the result that there was before it. Returns False if there is none."""
        editor = self.contouring
        return editor is not None and not editor.state.gone and editor.undo_prompt()

    def startFromSegment(self) -> None:
        """Make the segment's mask on the slice in view the start of the next prediction, with models that take masks."""
        self._attempt(self._start_from_segment)

    def keepSlice(self) -> None:
        """Make the object's mask on the slice in view final: later runs start from it and leave it as it is."""
        self._attempt(self._keep_slice)

    def goToSlice(self, index: int) -> None:
        """Show a slice of the result, or a key slice, in the slice views."""
        self._attempt(lambda editor: self._go_to(editor, index))

    def goToNextReview(self) -> None:
        """Go to the next slice that needs review."""
        self._attempt(self._go_to_next_review)

    def runInROI(self) -> None:
        """Contour inside the ROI that the options name."""
        if self.contouring is not None:
            self.contouring.take_roi(self.contouring.parameters.reference("ROI"))

    def putROIAroundSegment(self) -> None:
        """Place the ROI that the options name, or a new one, around the selected segment."""
        self._attempt(self._put_roi)

    def setReachEnd(self, name: Literal["ReachStart", "ReachEnd"]) -> None:
        """Make the slice in view the start or the end of the range that a run may segment."""
        self._attempt(lambda editor: self._set_range_end(editor, name))

    def goToKey(self) -> None:
        """Show the key slice that is selected in the list."""
        index = self._selected_key()
        if index is not None:
            self.goToSlice(index)

    def correctKey(self) -> None:
        """Show the key slice that is selected in the list, with handles on its rectangle."""
        index = self._selected_key()
        if index is not None and self.contouring is not None:
            self.goToSlice(index)
            self.contouring.mouse.correct(index)

    def removeKey(self) -> None:
        """Remove the key slice that is selected in the list."""
        index = self._selected_key()
        if index is not None and self.contouring is not None:
            self.contouring.remove_key(index)

    def setUp(self) -> None:
        """Open the module whose panel installs packages and models."""
        slicer.util.selectModule("MedSAMSlicer")

    def useModel(self, model: str | None) -> None:
        """Choose the model with this key; None: open the module whose panel installs models."""
        if model is None:
            self.setUp()
        else:
            self._attempt(lambda editor: editor.parameters.set("Model", model))

    def copyDetails(self) -> None:
        """Put on the clipboard what a report of a problem needs; nothing of the patient."""
        contouring, choice = self.contouring, None
        if contouring is not None:
            with contextlib.suppress(InputError):  # an option that a script has set to something unknown
                choice = contouring.parameters.choice
        copy_details({} if choice is None else {"Model": choice.model, "Device": f"{choice.device}, {choice.runtime}"})
        slicer.util.showStatusMessage(_("The details were copied: paste them into your report."), STATUS_MILLISECONDS)

    def _changed(self) -> None:
        """Something looks different."""
        raise NotImplementedError

    def _view_geometry(self) -> ViewGeometry | None:
        """The view that the user works in."""
        raise NotImplementedError

    def _selected_key(self) -> int | None:
        """The key slice that is selected in the list."""
        raise NotImplementedError

    def _attempt(self, action: Callable[[ContourEditor], None]) -> None:
        editor = self.contouring
        if editor is None or editor.state.gone:
            return
        editor.state.problem = None
        try:
            action(editor)
        except MedSAMError as error:
            editor.state.problem = error
        self._changed()

    def _apply(self, editor: ContourEditor) -> None:
        if self._controller.writer is None:
            return
        if not self._controller.is_for(self.scriptedEffect.parameterSetNode()):
            # Only possible while this effect is not active, because it follows the selection otherwise.
            raise InputError(
                _("segment '{segment}' is not the one that is selected: select it, then apply").format(
                    segment=editor.state.segment_name
                )
            )
        editor.state.check_voxels()
        current = editor.state.current
        # Where the result cannot be written at all, the writer says why.
        if current.outdated and current.fits(editor.state.stack):
            if not can_ask():
                raise InputError(outdated_text())
            if not slicer.util.confirmYesNoDisplay(outdated_question()):
                return
        if can_ask():
            # As Slicer's own effects do: the user is asked whether to show a hidden segment.
            answer = self.scriptedEffect.confirmCurrentSegmentVisible()
            if answer == slicer.qSlicerSegmentEditorAbstractEffect.NotConfirmed:
                return
        written = self._controller.writer.write(EditorAdapter(self.scriptedEffect))
        editor.state.notes = [written_text(written, editor.parameters.mode)]

    def _go_to_next_review(self, editor: ContourEditor) -> None:
        if editor.result is not None:
            index = editor.result.next_slice_to_review(slice_views.result_slice_in_view(editor.state))
            if index is not None:
                self._go_to(editor, index)

    def _go_to(self, editor: ContourEditor, index: int) -> None:
        slice_views.go_to(editor.state, index)
        # Slices that the user scrolls past are not counted as looked at, nor those that no view shows.
        if self._controller.writer is not None and slice_views.result_slice_in_view(editor.state) == index:
            self._controller.writer.look_at(index)

    @staticmethod
    def _put_roi(editor: ContourEditor) -> None:
        state = editor.state
        state.check_nodes()
        roi = roi_around_segment(
            state.volume_node, state.segmentation_node, state.segment_id, state.parameters.reference("ROI")
        )
        state.parameters.set_reference("ROI", roi)

    def _start_from_segment(self, editor: ContourEditor) -> None:
        view = self._view_geometry()
        if view is not None:
            editor.state.check_nodes()
            editor.points.start_from_segment(view)

    def _keep_slice(self, editor: ContourEditor) -> None:
        view = self._view_geometry()
        if view is not None:
            index = editor.keep_slice(view)
            if self._controller.writer is not None:
                self._controller.writer.look_at(index)  # whoever keeps a slice has reviewed it

    def _set_range_end(self, editor: ContourEditor, name: Literal["ReachStart", "ReachEnd"]) -> None:
        view = self._view_geometry()
        if view is not None:
            plane = editor.state.plane_in(view)
            set_slice_range_end(editor.parameters, name, editor.state.index_in(view, plane), plane)
