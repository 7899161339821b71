"""Contours one segment of one volume: composes the tools, and schedules runs, previews and prefetching.

Everything that does not need Qt is decided in these files. Nothing blocks: the owner calls `step` from a timer while
`busy`, and redraws on `SegmentState.changed`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import slicer

from ...engine.diagnostics.log import get_logger, log_error
from ...engine.errors import InputError, MedSAMError, as_user_error
from ...engine.i18n import tr as _
from ...engine.intensity import Window
from ...engine.results import SliceResult, StackResult
from ..state.effect_parameters import EffectParameters
from ..state.prompts import Prompts
from ..state.segment_state import SegmentState
from ..volume.geometry import is_colour
from ..volume.slice_reader import SliceReader
from ..volume.view_plane import ViewGeometry
from ..worker.progress import Progress
from ..worker.worker_client import WorkerClient
from .frame_controller import FrameController
from .key_masks import EditedObject, keep_slice, settle
from .mouse_interaction import MouseInteraction
from .point_tool import PointTool
from .prefetch import Prefetcher
from .rectangle_tool import RectangleTool
from .run_controller import RunController
from .slice_preview import SlicePreview

_log = get_logger(__name__)


class ContourEditor:
    """The tools of one segment and its runs. Does not write to the segment; see `writing.result_writer`.

    Attributes:
        state: prompts, options, result and problems of the segment.
        mouse: what the mouse does in slice views.
        rectangle, points: the tools that it uses.
        preview: the mask that they preview.
        runs: runs the prompts.
        frames: contours the other frames of a sequence.
        reader: the volume's slices as the model sees them.

    Args:
        state: the segment; closed with the editor.
        client: runs the model. May be shared with other editors; it stays open.
        on_result: called when a run has finished.
        edited: tells what the user has edited in the segment; None: slices are not compared.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        state: SegmentState,
        client: WorkerClient,
        on_result: Callable[[], None] = lambda: None,
        edited: EditedObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = state
        self.reader = SliceReader(state.volume_node, self._wanted_window, clock)
        self.preview = SlicePreview(state, self.reader, client, clock)
        self.rectangle = RectangleTool(state, self.preview)
        self.points = PointTool(state, self.rectangle, self.preview)
        self._client, self._on_result, self._edited = client, on_result, edited
        self.runs = RunController(
            state, self.reader, client, self._slice_found, self._run_finished, self._run_failed, edited, clock
        )
        self.frames = FrameController(state, client, self._wanted_window)
        self._prefetch = Prefetcher(state, self.reader, client, clock)
        self.mouse = MouseInteraction(state, self.rectangle, self.points, self.runs, self._prefetch)
        self._window: Window | None = None
        state.lost.connect(self._end)
        state.voxels_changed.connect(self._voxels_changed)
        self.read_prompts()

    # What scripts use

    @property
    def parameters(self) -> EffectParameters:
        return self.state.parameters

    @property
    def result(self) -> StackResult | None:
        """The current result; None if there is none."""
        return self.state.current.result

    @property
    def found(self) -> StackResult | None:
        """What the run has found so far; None if there is no run, or it has found nothing yet."""
        return self.runs.found

    @property
    def problem(self) -> MedSAMError | None:
        """What went wrong last; None after the next action."""
        return self.state.problem

    @property
    def notes(self) -> list[str]:
        """What the user should read about the result."""
        return self.state.notes

    @property
    def running(self) -> bool:
        """Whether a run is under way or about to begin."""
        return self.runs.running

    @property
    def progress(self) -> Progress | None:
        """Progress of the run at this moment; None if there is no run, or it has not begun yet."""
        return self.runs.progress

    def _wanted_window(self) -> str:
        # The option belongs to all volumes that the user works on; colour has no window.
        return "auto" if is_colour(self.state.volume_node) else self.parameters.get("Window")

    # Prompts

    def take_roi(self, roi_node: slicer.vtkMRMLMarkupsROINode | None) -> None:
        """Use an ROI as a 3D box in the volume's own slices, and run. `problem` says why if that is not possible."""
        state = self.state
        state.problem = None
        try:
            state.check_nodes()
            prompts = Prompts.from_roi(roi_node, state.volume_node)
        except MedSAMError as error:
            state.fail(error)
            return
        before = state.prompts
        state.change_prompts(prompts)
        self._run(before=[before])

    def keep_slice(self, view: ViewGeometry) -> int:
        """Make the mask on the slice in view final, and return the slice; see `key_masks.keep_slice`.

        Raises:
            InputError: the key slices lie in another plane, or there is nothing to keep.
        """
        self.state.check_nodes()
        index = keep_slice(self.state, self._edited, view)
        self.points.refresh()
        self.state.changed.emit()
        return index

    def remove_key(self, index: int) -> None:
        """Make a key slice an ordinary slice; the slices between its neighbours are run again."""
        prompts = self.state.prompts
        if prompts is None or index not in prompts.keys:
            return
        if prompts.keys[index].key_mask is not None:
            settle(self.state, self._edited, index)
        remaining = prompts.without_key(index)
        if remaining is None:
            self.discard()
        else:
            self.state.change_prompts(remaining)
            self.run()

    def discard(self) -> None:
        """Drop prompts and result. What was applied stays in the segment."""
        self.cancel()
        self.state.problem, self.state.notes = None, []
        self.state.change_prompts(None)
        self.state.current.drop()
        self.preview.forget()
        self.state.changed.emit()

    @property
    def can_undo_prompt(self) -> bool:
        """Whether `undo_prompt` has something to take back."""
        return self.state.can_undo_prompts or self.points.can_undo

    def undo_prompt(self) -> bool:
        """Take back the last rectangle, click, ROI, removal or discard, with the result that there was before it.

        Takes back clicks that were loaded with the scene, too, on the slice in view. A run is cancelled.

        Returns:
            False if there is nothing to take back.
        """
        if self.points.clicked_last or not self.state.can_undo_prompts:
            return self.points.undo()
        self.runs.cancel()
        self.rectangle.drop()
        self.state.problem, self.state.notes = None, []
        self.state.undo_prompts()
        self.points.show_again()
        self.state.changed.emit()
        return True

    def read_prompts(self) -> None:
        """As `SegmentState.read_prompts`; clicks are previewed with the model that is chosen now."""
        self.state.read_prompts()
        self.points.refresh()

    # Runs

    def run(self) -> None:
        """Run the prompts. Slices of the earlier result that do not depend on what has changed are kept."""
        self.state.problem = None
        if self.state.prompts is None:
            self.state.fail(InputError(_("nothing is marked yet: draw a rectangle around the object in a slice view")))
        else:
            self._run()

    def _run(self, before: list[Prompts | None] | None = None) -> None:
        self._prefetch.stop()
        self.runs.want(before)

    def contour_all_frames(self) -> None:
        """Contour the object in the other frames of the sequence too; all are written when the last one is done."""
        self._prefetch.stop()
        self.frames.start()

    def cancel(self) -> None:
        """End the run without a result. An earlier result stays; nothing is written."""
        self.frames.cancel()
        self.runs.cancel()
        self.rectangle.drop()
        self.points.show_again()
        self.state.changed.emit()

    def _slice_found(self, found: SliceResult) -> None:
        # The result of the slice takes the place of its preview.
        if self.preview.shown is not None and self.preview.shown.index == found.index:
            self.preview.forget()

    def _run_finished(self) -> None:
        self.rectangle.drop()
        self.points.show_again()
        self.state.changed.emit()
        if not self.runs.wanted:
            self._on_result()

    def _run_failed(self) -> None:
        if not self.runs.wanted:
            self.rectangle.drop()
            self.points.show_again()

    def _voxels_changed(self) -> None:
        if self.rectangle.drag is None:
            self.points.show_again()  # what is previewed was found in other voxels

    # Scheduling

    @property
    def busy(self) -> bool:
        """Whether `step` has to be called."""
        if self.runs.wanted or self.runs.under_way or self.preview.busy or not self._client.idle or self.frames.running:
            return True
        return not self.state.gone and (self._prefetch.waiting or self.reader.searching)

    def step(self) -> None:
        """Advance whatever waits for time: the engine, the search for the window, runs, previews and prefetching."""
        self._client.step()
        if self.state.gone:
            return
        searching = self.reader.searching
        try:
            window = self.reader.advance()
        except Exception as error:
            if not isinstance(error, MedSAMError):
                log_error(_log, error, "the intensity window could not be found")
            self._prefetch.look_away()  # no slice can be encoded
            if self.runs.wanted or self.preview.busy:
                self.runs.wanted = False
                self.preview.forget()
                self.state.fail(as_user_error(error))
            elif searching:
                self.state.changed.emit()
            return
        self.preview.step()
        if window != self._window:
            self._window = window
            self.state.changed.emit()
        if window is None or self.runs.under_way:
            return
        if self.frames.running:
            if self.runs.wanted:  # the newest action counts
                self.frames.cancel()
            else:
                self.frames.step()
            return
        if self.runs.wanted:
            self.runs.start()
        elif self.rectangle.drag is None:
            self._prefetch.step()

    # What the user looks at

    def look_at(self, view: ViewGeometry) -> None:
        """The user looks at this view: preview the clicks on its slice, and prefetch the slices around it."""
        self.state.view = view
        self.points.look_at(view)
        if self.running or self.rectangle.drag is not None:
            self._prefetch.stop(view)
        else:
            self._prefetch.look_at(view)

    def look_away(self) -> None:
        """The slice views are no longer the effect's: drop rectangle and preview, and prefetch nothing."""
        self.rectangle.drop()
        self.preview.forget()
        self._prefetch.look_away()

    def forget_encoded(self) -> None:
        """The engine is about to lose its embeddings."""
        self._prefetch.forget()

    def suspend(self) -> None:
        """Another segment is selected: cancel the run, and keep the result without its image, which takes memory."""
        self.state.suspended = True
        self.cancel()
        self._prefetch.look_away()
        self.state.current.release_image()
        self.state.notes = []

    def resume(self) -> None:
        """The segment is selected again. If the volume cannot show the result any more, `problem` says why."""
        state = self.state
        state.suspended, state.problem = False, None
        state.check_voxels()
        self.read_prompts()
        try:
            state.current.restore(state.stack)
        except MedSAMError as error:
            state.fail(error)

    # The end

    def close(self) -> None:
        """Cancel the run and release the scene. The prompts stay in the scene."""
        self.state.close()
        self._on_result = lambda: None
        self.state.suspended = True
        self.cancel()
        self._prefetch.forget()

    def _end(self, reason: MedSAMError) -> None:
        if self.running or self.frames.running or self.rectangle.drag is not None:
            self.state.problem = reason
        self.frames.cancel()
        self.runs.end(reason)
        self._prefetch.forget()
        self.rectangle.drop()
        self.preview.forget()
