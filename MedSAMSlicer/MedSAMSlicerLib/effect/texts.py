"""Words of the effect that say how things stand."""

from __future__ import annotations

from collections.abc import Sequence

from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..engine.models.catalogue import CATALOGUE
from ..engine.serving.inference_client import Stage
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.needs_review import doubtful_slices
from ..scene.state.prompts import KeySlice, Origin
from ..scene.volume.view_plane import Plane, Stack, anatomical_name, position_of
from ..scene.worker.progress import Progress


def help_text() -> str:
    """Help of the effect, as HTML; the first sentence stands above the options."""
    return "<html>{first}<br>{more}</html>".format(
        first=_("Drag a rectangle around the object in a slice view: a MedSAM model contours it from slice to slice."),
        more="<p>"
        + "<p>".join(
            (
                _("<b>Drag</b>: mark the object. The mask is seen while you drag; the run begins when you release."),
                _("<b>Shift+drag</b> on another slice: add a key slice. Only the slices up to the neighbouring key"
                  " slices are computed again."),
                _("<b>Drag again</b> on a key slice: replace its rectangle. <b>Correct</b>: drag its corners."),
                _("<b>Click</b> in the object, <b>Ctrl+click</b> (Cmd+click on macOS) beside it, with models that take"
                  " points: the mask on that slice is refined at once, from the rectangle or the result that it has."
                  " <b>Backspace</b> undoes the last click. A click begins no run: <b>Enter</b> or 'Contour' does."),
                _("<b>Esc</b>: drop the rectangle, or end the run that it began, or drop the clicks since the last run."),
                _("<b>N</b>: go to the next doubtful slice. <b>Ctrl+Enter</b>: apply."),
                _("In views that show the volume's own slices these are used, in other views slices in the view's"
                  " plane. A Markups ROI of any rotation serves as a 3D box: no mask leaves it, until something is marked"
                  " beside it."),
                _("The result is shown over the image first. 'Apply' writes it with the masking settings below, in one"
                  " step that can be undone."),
                _("For research use; not a medical device. Check every slice."),
            )
        ),
    )  # fmt: skip


def plane_name(stack: Stack) -> str:
    """Name of a plane, for the beginning of a sentence."""
    names = {"axial": _("Axial"), "sagittal": _("Sagittal"), "coronal": _("Coronal")}
    return names[anatomical_name(stack)]


def plane_text(plane: Plane, stack: Stack) -> str:
    """Which slices a rectangle drawn in the view at hand would be on."""
    if plane.axis is not None:
        return _("{plane}: the volume's own slices, {spacing} mm apart.").format(
            plane=plane_name(stack), spacing=f"{stack.spacing[0]:.3g}"
        )
    return _("Oblique, nearest to {plane}: slices in the plane of the view, {spacing} mm apart.").format(
        plane=plane_name(stack).lower(), spacing=f"{stack.spacing[0]:.3g}"
    )


def position_text(stack: Stack, index: int) -> str:
    """For example "S -260.0 mm"."""
    letter, millimetres = position_of(stack, index)
    return _("{letter} {position} mm").format(letter=letter, position=f"{millimetres:.1f}")


def origin_text(origin: Origin) -> str:
    """How a key slice came about."""
    names = {
        "drawn": _("drawn"),
        "corrected": _("corrected"),
        "roi": _("from ROI"),
        "clicked": _("clicked"),
        "segment": _("from segment"),
    }
    return names[origin]


def key_text(key: KeySlice) -> str:
    """How a key slice came about, and how many points there are on it."""
    if key.points is None:
        return origin_text(key.origin)
    return _("{how}, {points}").format(how=origin_text(key.origin), points=points_text(len(key.points)))


def points_text(count: int) -> str:
    return _("1 point") if count == 1 else _("{count} points").format(count=count)


def clicks_text(contouring: ContourEditor) -> str:
    """What clicks do now: what to press, and what has been clicked that no run has gone through."""
    prompts, pending = contouring.prompts, contouring.clicks.pending
    if prompts is None or not pending:
        return _("Click in the object, Ctrl+click beside it, to refine the slice in view.")
    if len(pending) > 1:
        return _("{count} slices refined. Enter or 'Contour' runs from there.").format(count=len(pending))
    points = prompts.keys[pending[0]].points
    what = _("from the segment") if points is None else points_text(len(points))
    return _("Slice {index}: {what}. Enter or 'Contour' runs from there.").format(index=pending[0], what=what)


def refused_click_text(contouring: ContourEditor) -> str:
    """Why a click did nothing, after one that did nothing."""
    if not contouring.clicks.refused:
        return ""
    able = [spec.title for spec in CATALOGUE.values() if "points" in spec.prompts]
    return _("{model} takes boxes only, no clicks: drag a rectangle, or choose {models}.").format(
        model=CATALOGUE[contouring.parameters.get("Model")].title, models=", ".join(able)
    )


def run_text(contouring: ContourEditor | None) -> str:
    """What the button that begins a run is called."""
    if contouring is None or contouring.gone or contouring.result is None or contouring.clicks.pending:
        return _("Contour")
    return _("Run again")


def correction_text(contouring: ContourEditor) -> str:
    """What to do with the rectangle that is to be corrected."""
    index = contouring.correcting
    if index is None:
        return ""
    try:
        position = position_text(contouring.stack(), index)
    except MedSAMError:
        return ""  # the volume cannot be used any more, which is said where its slices are named
    return _(
        "Slice {index} ({position}): drag a corner of the rectangle, or draw another one over it. Esc keeps it as it is."
    ).format(index=index, position=position)


def progress_text(progress: Progress | None) -> str:
    """What a run is doing, how far it has come, and how long it will take as far as that can be known."""
    if progress is None:
        return _("Reading the image…")
    if progress.stage is Stage.STARTING:
        return _("Starting the inference process…")
    if progress.stage is Stage.LOADING:
        return _("Loading the model…")
    if progress.total is None:
        # How many slices there will be is found out by going there: no time left that could be said.
        if progress.done == 0:
            return _("{seconds} s so far; where the object ends is not known yet").format(
                seconds=round(progress.seconds)
            )
        return _("{done} slices, {seconds} s so far; where the object ends is not known yet").format(
            done=progress.done, seconds=round(progress.seconds)
        )
    if progress.remaining is None:
        return _("Slice {done} of {total}").format(done=progress.done, total=progress.total)
    return _("Slice {done} of {total}, {seconds} s left").format(
        done=progress.done, total=progress.total, seconds=max(round(progress.remaining), 1)
    )


def segment_name(contouring: ContourEditor) -> str:
    """Name of the segment that a contouring is for."""
    segment = contouring.segmentation_node.GetSegmentation().GetSegment(contouring.segment_id)
    return contouring.segment_id if segment is None else str(segment.GetName())


def waiting_text(segments: Sequence[str]) -> str:
    """Which other segments have a result that was not applied."""
    return _("Not applied yet: {segments}.").format(segments=", ".join(segments)) if segments else ""


def finished_text(contouring: ContourEditor) -> str:
    """For the status bar, when a run ends while the effect isn't seen."""
    return _("MedSAM: the contour of '{segment}' is ready, and waits in the Segment Editor.").format(
        segment=segment_name(contouring)
    )


def in_words(count: int) -> str:
    """A number in words, as far as that can be read faster than digits."""
    words = (
        _("none"), _("one"), _("two"), _("three"), _("four"), _("five"), _("six"), _("seven"), _("eight"), _("nine"),
        _("ten"), _("eleven"), _("twelve"),
    )  # fmt: skip
    return words[count] if count < len(words) else str(count)


def found_something(contouring: ContourEditor) -> bool:
    """Whether there is a result, and anything in it."""
    return any(found.mask.any() for found in contouring.result or ())


def result_text(contouring: ContourEditor) -> str:
    """What there is of a result, and how many of its slices are doubtful."""
    result = contouring.result
    if result is None:
        return ""
    count = sum(1 for found in result if found.mask.any())
    if count == 0:
        return _("Nothing was found there: draw a rectangle closer around the object, or choose another window.")
    doubtful = len(doubtful_slices(result))
    words = _("{count} of them doubtful").format(count=in_words(doubtful))
    kept = contouring.kept
    state = _("Applied") if kept.applied else _("Undone, not in the segment") if kept.undone else _("Preview")
    return _("{state}: {count} slices, {doubtful}.").format(state=state, count=count, doubtful=words)
