"""Texts of the effect for the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.modes import Mode
from ..scene.state.prompts import KeySlice, Origin
from ..scene.volume.view_plane import Plane, Stack, anatomical_plane, position_of, slice_name
from ..scene.worker.active_run import Stage
from ..scene.worker.progress import Progress
from ..scene.writing.segment_writer import Written
from .result_summary import ResultSummary, summary_of

_SLOW_SLICE_SECONDS = 2.0
"""A slice that takes longer is counted in seconds, so that the text never stands still."""


def help_text() -> str:
    """Help of the effect, as HTML. Slicer shows the first sentence above the options."""
    return "<html>{first}<br>{more}</html>".format(
        first=_("Drag a rectangle around the object."),
        more="<p>"
        + "<p>".join(
            (
                _("<b>Drag</b> in a slice view: mark the object. A preview of the mask follows the mouse; when you release it,"
                  " a MedSAM model contours the object slice by slice."),
                _("<b>Shift+drag</b> on another slice: add a key slice. Only the slices up to the neighbouring key"
                  " slices are computed again."),
                _("<b>Drag again</b> on a key slice: replace its rectangle. <b>Correct</b>: drag its corners."),
                _("<b>Click</b> inside the object, <b>Ctrl+click</b> (Cmd+click on macOS) outside it, with models that"
                  " accept points: refine the mask on that slice, starting from its rectangle or its result."
                  " Clicks do not start a run: press <b>Enter</b> or 'Contour'."),
                _("<b>Keep this slice</b> (<b>K</b>): its mask is final, and the next run starts from it. Slices of an applied"
                  " result that you edit with another tool are final too. 'Remove' in the list of key slices lets them go."),
                _("<b>Backspace</b> or 'Undo prompt': take back the last rectangle, click, ROI, removal or discard, with the"
                  " result that there was before it."),
                _("<b>Esc</b>: drop the rectangle, or cancel the run that it started, or drop the clicks since the last"
                  " run."),
                _("<b>N</b>: go to the next slice that needs review. <b>Ctrl+Enter</b>: apply."),
                _("A view that shows the volume's own slices uses them; any other view uses slices in its own plane."
                  " A Markups ROI of any rotation serves as a 3D box: the mask stays inside it, unless you mark"
                  " something outside."),
                _("The result is shown as a preview. 'Apply' writes it with the masking settings below; one 'Undo'"
                  " reverts it."),
                _("For research use; not a medical device. Check every slice."),
            )
        ),
    )  # fmt: skip


def plane_name(stack: Stack) -> str:
    """Name of a plane, as the first word of a sentence."""
    names = {"axial": _("Axial"), "sagittal": _("Sagittal"), "coronal": _("Coronal")}
    return names[anatomical_plane(stack)]


def plane_text(plane: Plane, stack: Stack, slab: float = 0.0) -> str:
    """Which slices a rectangle drawn in the current view lies on. `slab`: as in `ViewGeometry`."""
    spacing = f"{stack.spacing[0]:.3g}"
    if plane.axis is not None:
        text = _("{plane} slices, {spacing} mm apart.").format(plane=plane_name(stack), spacing=spacing)
    else:
        text = _("Oblique slices as in this view, closest to {plane}, {spacing} mm apart.").format(
            plane=plane_name(stack).lower(), spacing=spacing
        )
    if slab > stack.spacing[0]:
        more = _("The view shows a slab of {slab} mm: a rectangle lies on the slice in its middle.")
        text = f"{text} {more.format(slab=f'{slab:.3g}')}"
    return text


def position_text(stack: Stack, index: int) -> str:
    """Anatomical position of a slice, such as "S -260.0 mm"."""
    letter, millimetres = position_of(stack, index)
    return _("{letter} {position} mm").format(letter=letter, position=f"{millimetres:.1f}")


def origin_text(origin: Origin) -> str:
    """Where the prompt of a key slice comes from."""
    names = {
        "drawn": _("drawn"),
        "corrected": _("corrected"),
        "roi": _("from ROI"),
        "clicked": _("clicked"),
        "segment": _("from segment"),
        "kept": _("kept, final"),
        "edited": _("edited, final"),
    }
    return names[origin]


def key_text(key: KeySlice) -> str:
    """Where the prompt of a key slice comes from, and how many points it has."""
    if key.points is None:
        return origin_text(key.origin)
    return _("{origin}, {points}").format(origin=origin_text(key.origin), points=points_text(len(key.points)))


def points_text(count: int) -> str:
    return _("1 point") if count == 1 else _("{count} points").format(count=count)


def clicks_text(editor: ContourEditor) -> str:
    """How to click, or what was clicked since the last run."""
    prompts, pending = editor.state.prompts, editor.points.pending
    if prompts is None or not pending:
        if "points" not in editor.parameters.prompt_kinds:
            return _(
                "Click where the mask misses the object, or Ctrl+click where it is too large, to correct the slice in view."
            )
        return _("Click inside the object, or Ctrl+click outside it, to refine the mask on the slice in view.")
    if len(pending) > 1:
        return _("{count} slices refined. Press Enter or 'Contour' to run.").format(count=len(pending))
    points = prompts.keys[pending[0]].points
    what = _("from the segment") if points is None else points_text(len(points))
    return _("Slice {name}: {what}. Press Enter or 'Contour' to run.").format(
        name=_name_of_slice(editor, editor.state.plane)(pending[0]), what=what
    )


def run_text(editor: ContourEditor | None) -> str:
    """Text of the button that starts a run."""
    if editor is None or editor.state.gone or editor.result is None or editor.points.pending:
        return _("Contour")
    return _("Run again")


def correction_text(editor: ContourEditor) -> str:
    """How to correct the rectangle that has handles; empty if there is none."""
    index = editor.state.correcting
    if index is None:
        return ""
    try:
        name = slice_name(editor.state.stack(), index)
    except MedSAMError:
        return ""  # the volume cannot be used any more: the text of the plane says so
    return _("Slice {name}: drag a corner of the rectangle, or draw a new one. Esc leaves it unchanged.").format(
        name=name
    )


def progress_text(progress: Progress | None) -> str:
    """What a run is doing, how many slices are done, and how long it will take if that is known."""
    if progress is None:
        return _("Reading the image…")
    if progress.stage is not Stage.SEGMENTING:
        return waiting_stage_text(progress)
    if progress.total is None:
        # The run goes on to the end of the object, wherever that is: the remaining time is unknown.
        if progress.done == 0:
            return _("{seconds} s so far, looking for the end of the object").format(seconds=round(progress.seconds))
        slices = _slices_text(progress.done)
        return _("{slices}, {seconds} s so far, looking for the end of the object").format(
            slices=slices, seconds=round(progress.seconds)
        )
    if progress.remaining is None:
        text = _("{done} of {total} slices").format(done=progress.done, total=progress.total)
    else:
        text = _("{done} of {total} slices, {seconds} s left").format(
            done=progress.done, total=progress.total, seconds=max(round(progress.remaining), 1)
        )
    if progress.slice_seconds < _SLOW_SLICE_SECONDS:
        return text
    return _("{text}; {seconds} s for this slice so far").format(text=text, seconds=int(progress.slice_seconds))


def waiting_stage_text(progress: Progress) -> str:
    """What a run or a preview waits for, and since when."""
    text = {
        Stage.STARTING: _("Starting the inference process…"),
        Stage.LOADING: _("Loading the model…"),
        Stage.SEGMENTING: _("Computing the preview…"),
    }[progress.stage]
    seconds = int(progress.seconds)
    return text if seconds < 1 else _("{text} {seconds} s").format(text=text, seconds=seconds)


def waiting_text(segments: Sequence[str]) -> str:
    """Which other segments have a result that was not applied."""
    return _("Not applied yet: {segments}.").format(segments=", ".join(segments)) if segments else ""


def finished_text(editor: ContourEditor) -> str:
    """Message in the status bar when a run finishes while the effect is not active."""
    return _("MedSAM: the result for '{segment}' is ready. Open the Segment Editor to review and apply it.").format(
        segment=editor.state.segment_name
    )


def found_something(editor: ContourEditor) -> bool:
    """Whether there is a result with at least one non-empty mask."""
    return editor.result is not None and result_summary(editor).found > 0


def result_summary(editor: ContourEditor) -> ResultSummary:
    """Summary of what the run has found so far, or else of the result; one of them must be there."""
    shown = editor.found or editor.result
    assert shown is not None
    return summary_of(shown, _name_of_slice(editor, editor.state.current.plane))


def _name_of_slice(editor: ContourEditor, plane: Plane | None) -> Callable[[int], str]:
    try:
        stack = editor.state.stack(plane)
    except MedSAMError:
        return str  # the volume cannot be used any more: the text of the plane says so
    return lambda index: slice_name(stack, index) if 0 <= index < stack.shape[0] else str(index)


def result_text(editor: ContourEditor) -> str:
    """State of the result, its number of slices, how many of them need review, and how long a new result took."""
    current = editor.state.current
    if editor.found is None and editor.result is None:
        return ""
    summary = result_summary(editor)
    if summary.found == 0 and not editor.found:
        return _("No object found in this box: draw a tighter rectangle, or choose another window.")
    state, took = _("Preview"), ""
    if editor.found:
        state = _("So far")
    elif current.applied:
        state = _("Applied")
    elif current.outdated:
        state = _("Outdated")
    elif current.undone:
        state = _("Undone, not in the segment")
    elif current.run is not None and editor.problem is None:  # a problem needs the room
        took = seconds_text(current.run.seconds)
    text = _("{state}: {slices}, {review}.").format(
        state=state,
        slices=_slices_text(summary.found),
        review=_review_text(summary.to_review),
    )
    return f"{text} {took}" if took else text


def seconds_text(seconds: tuple[float, float] | None) -> str:
    """How long the user waited for the first and the last slice of a run; empty if unknown."""
    if seconds is None:
        return ""
    first, last = (f"{one:.1f}" if one < 10 else f"{one:.0f}" for one in seconds)
    return _("First slice after {first} s, all after {last} s.").format(first=first, last=last)


def outdated_text() -> str:
    """Why a result is hidden and not applied, and what to do."""
    return _(
        "The volume shows another frame than the result was made from, or its voxels have changed: go back to that "
        "frame, or click 'Run again'."
    )


def outdated_question() -> str:
    """Asked before such a result is applied."""
    return _(
        "The volume shows another frame than the result was made from, or its voxels have changed. Apply the result all "
        "the same?"
    )


def written_text(written: Written, mode: Mode) -> str:
    """What has become of the voxels of a result that was applied."""
    texts = {
        "add": _("{count} voxels were written."),
        "replace": _("{count} voxels were written, in place of what the segment held."),
        "remove": _("{count} voxels were removed."),
    }
    parts = [texts[mode].format(count=written.voxels)]
    if written.voxels_masked:
        parts.append(_("Masking kept {count} voxels as they were.").format(count=written.voxels_masked))
    if written.voxels_outside:
        text = _("{count} voxels lie outside of the segmentation's geometry and were left out.")
        parts.append(text.format(count=written.voxels_outside))
    if written.slices_kept:
        text = _(
            "Left as edited in the segment since this run began: {slices}. 'Run again' contours the rest from there."
        )
        parts.append(text.format(slices=_slices_text(written.slices_kept)))
    if written.edits_replaced:
        text = _("That includes {count} voxels edited since the last 'Apply': 'Undo' brings them back.")
        parts.append(text.format(count=written.edits_replaced))
    return " ".join(parts)


def _slices_text(count: int) -> str:
    return _("1 slice") if count == 1 else _("{count} slices").format(count=count)


def _review_text(count: int) -> str:
    if count == 0:
        return _("none needs review")
    return _("1 needs review") if count == 1 else _("{count} need review").format(count=count)
