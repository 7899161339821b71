"""What the user's buttons and keys do, and scripts may do, with the effect: `effect = editor.activeEffect().self()`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from ..engine.errors import InputError, MedSAMError
from ..engine.log import get_logger
from ..panel.copy_details import copy_details
from ..scene.editing.contour_editor import ContourEditor
from ..scene.roi.fit_to_segment import roi_around_segment
from ..scene.state.needs_review import next_slice_to_review
from ..scene.state.slice_range import set_reach_end
from ..scene.volume.view_plane import ViewGeometry
from . import slice_views
from .controller import Driver
from .editor_adapter import EditorAdapter
from .options_frame import OptionsFrame
from .texts import segment_name

STATUS_MILLISECONDS = 10000
_log = get_logger(__name__)


class Commands:
    """The commands of an effect. What goes wrong is `contouring.problem` then, and stands in the options frame."""

    scriptedEffect: slicer.qSlicerSegmentEditorScriptedEffect
    _driver: Driver
    _frame: OptionsFrame | None

    @property
    def contouring(self) -> ContourEditor | None:
        """Prompts, runs and result of the selected segment; None if nothing is selected that could be contoured."""
        return self._driver.contouring

    def run(self) -> None:
        """Contour again from the key slices."""
        if self.contouring is not None:
            self.contouring.run()

    def cancel(self) -> None:
        """End the run; nothing is written."""
        if self.contouring is not None:
            self.contouring.cancel()

    def escape(self) -> bool:
        """Drop what is being drawn, or end the run that the last rectangle began, or drop the clicks since the last run.

        False if there is nothing of the kind.
        """
        return self.contouring is not None and self.contouring.escape()

    def apply(self) -> None:
        """Write the result to the selected segment in one undo step, if there is one; again, if it was undone."""
        if self.contouring is not None and self.contouring.result is not None and not self.contouring.running:
            self._attempt(self._apply)

    def discard(self) -> None:
        """Forget key slices and result."""
        if self.contouring is not None:
            self.contouring.discard()

    def undoClick(self) -> bool:
        """Take the last click back, or the last start from the segment. False if there is none."""
        return self.contouring is not None and not self.contouring.gone and self.contouring.clicks.undo()

    def startFromSegment(self) -> None:
        """Have the model start from what the segment holds on the slice in view; with models that take masks."""
        self._attempt(self._start_from_segment)

    def goToSlice(self, index: int) -> None:
        """Show a slice of the result, or a key slice, in the slice views."""
        self._attempt(lambda contouring: slice_views.go_to(contouring, index))

    def goToNextReview(self) -> None:
        """Go to the next slice that needs review."""
        self._attempt(self._go_to_next_review)

    def runInROI(self) -> None:
        """Contour inside the ROI of the options."""
        if self.contouring is not None:
            self.contouring.take_roi(self.contouring.parameters.reference("ROI"))

    def putROIAroundSegment(self) -> None:
        """Put the ROI of the options around the selected segment; make one if there is none."""
        self._attempt(self._put_roi)

    def setReachEnd(self, name: str) -> None:
        """Make the slice in view the start ("ReachStart") or the end ("ReachEnd") of the reach."""
        self._attempt(lambda contouring: self._set_reach_end(contouring, name))

    def goToKey(self) -> None:
        """Show the key slice that is selected in the list."""
        index = None if self._frame is None else self._frame.selected_key
        if index is not None:
            self.goToSlice(index)

    def correctKey(self) -> None:
        """Show the key slice that is selected in the list, with handles on its rectangle."""
        index = None if self._frame is None else self._frame.selected_key
        if index is not None and self.contouring is not None:
            self.goToSlice(index)
            self.contouring.correct(index)

    def removeKey(self) -> None:
        """Make the key slice that is selected in the list an ordinary one."""
        index = None if self._frame is None else self._frame.selected_key
        if index is not None and self.contouring is not None:
            self.contouring.remove_key(index)

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

    def _attempt(self, action: Callable[[ContourEditor], None]) -> None:
        contouring = self.contouring
        if contouring is None or contouring.gone:
            return
        contouring.problem = None
        try:
            action(contouring)
        except MedSAMError as error:
            contouring.problem = error
        self._changed()

    def _apply(self, contouring: ContourEditor) -> None:
        if self._driver.writer is None:
            return
        if not self._driver.is_for(self.scriptedEffect.parameterSetNode()):
            # Only possible while another effect, or none, is active: this one follows what is selected.
            raise InputError(
                _("segment '{segment}' is not the one that is selected: select it, then apply").format(
                    segment=segment_name(contouring)
                )
            )
        written = self._driver.writer.write(EditorAdapter(self.scriptedEffect))
        _log.info("result applied: %d voxels, %d outside of the segmentation", written.voxels, written.voxels_outside)
        if written.voxels_outside:
            text = _("{count} voxels lie outside of the segmentation's geometry and were left out.")
            contouring.notes = [text.format(count=written.voxels_outside)]

    @staticmethod
    def _go_to_next_review(contouring: ContourEditor) -> None:
        if contouring.result is not None:
            index = next_slice_to_review(contouring.result, slice_views.slice_shown(contouring))
            if index is not None:
                slice_views.go_to(contouring, index)

    def _put_roi(self, contouring: ContourEditor) -> None:
        roi = roi_around_segment(contouring, contouring.parameters.reference("ROI"))
        contouring.parameters.set_reference("ROI", roi)

    def _start_from_segment(self, contouring: ContourEditor) -> None:
        view = self._view_geometry()
        if view is not None:
            contouring.check_nodes()
            contouring.clicks.start_from_segment(view)

    def _set_reach_end(self, contouring: ContourEditor, name: str) -> None:
        view = self._view_geometry()
        if view is not None:
            plane = contouring.plane_in(view)
            set_reach_end(contouring.parameters, name, contouring.index_in(view, plane), plane)
