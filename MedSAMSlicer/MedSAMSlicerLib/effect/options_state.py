"""What the options frame shows, as plain values: texts of its widgets, and which of them are enabled and visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..engine.intensity import COLOUR, CT_PRESETS
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.effect_parameters import EffectParameters
from ..scene.volume.frames import Frames
from ..scene.volume.geometry import is_colour
from ..scene.volume.view_plane import Stack, ViewGeometry, slice_name
from ..scene.worker.active_run import Stage
from .hints import Hint, hint_of
from .model_offer import ModelOffer, model_offer
from .option_choices import Available, OptionChoices, option_choices, preset_text
from .result_summary import ResultSummary
from .texts import (
    clicks_text,
    correction_text,
    key_text,
    outdated_text,
    plane_text,
    position_text,
    progress_text,
    result_summary,
    result_text,
    run_text,
    waiting_stage_text,
    waiting_text,
)

UNKNOWN = "–"
_SLOW_PREVIEW_SECONDS = 1.0
"""A preview that takes longer is counted in seconds."""


class KeyRow(NamedTuple):
    """A row of the list of key slices."""

    slice_index: int
    position: str
    origin: str


class ProgressBar(NamedTuple):
    """Progress of a run. A `total` of 0 means that the number of slices is unknown."""

    done: int
    total: int
    text: str


@dataclass(frozen=True)
class ResultState:
    """The result, and what can be done with it.

    Attributes:
        has_frames: whether the volume shows a frame of a sequence.
    """

    text: str
    summary: ResultSummary
    can_apply: bool
    has_frames: bool = False
    can_contour_frames: bool = False

    @property
    def can_go_to_review(self) -> bool:
        return self.can_apply and self.summary.to_review > 0


@dataclass(frozen=True)
class ClicksState:
    """What can be done by clicks.

    Attributes:
        accepts_masks: whether the button for these is visible.
    """

    text: str
    accepts_masks: bool


@dataclass(frozen=True)
class OptionsState:
    """What the options frame shows.

    Attributes:
        problem: what went wrong; empty if nothing did.
        hint: what has to be done before anything can be contoured or seen; may be empty.
        offer: another model, if the chosen one had no use for a click; its text may be empty.
        note: what the user should know besides; may be empty.
        plane: which slices a rectangle drawn in the current view lies on.
        range_ends: first and last slice of the chosen range.
        progress: None unless a run is in progress, or a preview waits for the engine.
        can_cancel: whether a run is in progress, in this frame or in others.
        result: None if there is none.
        clicks: None if the chosen model has no use for clicks, or none yet.
        window_in_use: the intensity window that the model sees.
        window_levels: level and width of that window; None while they are unknown.
        can_choose_window: False for a colour image.
        choices: None if there is no scene for the options.
    """

    problem: str = ""
    hint: Hint = Hint()
    offer: ModelOffer = ModelOffer()
    note: str = ""
    plane: str = ""
    range_ends: tuple[str, str] = (UNKNOWN, UNKNOWN)
    run_text: str = ""
    can_run: bool = False
    can_undo_prompt: bool = False
    progress: ProgressBar | None = None
    can_cancel: bool = False
    result: ResultState | None = None
    keys_title: str = ""
    keys: tuple[KeyRow, ...] = ()
    clicks: ClicksState | None = None
    window_in_use: str = ""
    window_levels: tuple[float, float] | None = None
    can_choose_window: bool = True
    choices: OptionChoices | None = None

    @property
    def can_run_in_roi(self) -> bool:
        """Whether an ROI is chosen."""
        return self.choices is not None and self.choices.roi is not None


def options_state(
    editor: ContourEditor | None,
    parameters: EffectParameters | None,
    available: Available,
    view: ViewGeometry | None = None,
    problem: MedSAMError | None = None,
    waiting: Sequence[str] = (),
    check: str = "",
) -> OptionsState:
    """What the options frame shows.

    Args:
        editor: of the selected segment; None if nothing is selected that can be contoured.
        parameters: the options; None if there is no scene for them.
        available: what this computer offers.
        view: the slice view that the user works in.
        problem: why there is no editor.
        waiting: names of other segments with a result that was not applied.
        check: what the user should know about the check of this computer.
    """
    problem = (None if editor is None else editor.problem) or problem
    common = OptionsState(
        problem="" if problem is None else f"⚠ {problem}",
        hint=Hint() if parameters is None else hint_of(parameters.node, parameters.as_it_stands("Model"), available),
        note=" ".join(filter(None, [waiting_text(waiting), check])),
        run_text=run_text(editor),
        keys_title=_("Key slices"),
        choices=None if parameters is None else option_choices(parameters, available),
    )
    if editor is None or editor.state.gone:
        return common
    keys, current = _key_rows(editor), editor.state.current
    plane, range_ends = _place(editor, view)
    window_in_use, window_levels = _window(editor)
    return replace(
        common,
        offer=model_offer(editor, available),
        note=" ".join(
            filter(
                None,
                [
                    correction_text(editor),
                    outdated_text() if current.outdated and not current.applied else "",
                    *editor.notes,
                    common.note,
                ],
            )
        ),
        plane=plane,
        range_ends=range_ends,
        can_run=editor.state.prompts is not None and not editor.running,
        can_undo_prompt=editor.can_undo_prompt,
        progress=progress_bar(editor),
        can_cancel=editor.running or editor.frames.running,
        result=_result(editor),
        keys_title=_("Key slices ({count})").format(count=len(keys)) if keys else common.keys_title,
        keys=keys,
        clicks=_clicks(editor),
        window_in_use=window_in_use,
        window_levels=window_levels,
        can_choose_window=not is_colour(editor.state.volume_node),
    )


def progress_bar(editor: ContourEditor) -> ProgressBar | None:
    """What the options frame shows of a run or a slow preview; None if nothing is waited for."""
    if not editor.running:
        return _preview_progress(editor)
    progress = editor.progress
    if progress is None and not editor.reader.searching:
        return ProgressBar(0, 0, _("Starting…"))
    if progress is None or progress.total is None:
        return ProgressBar(0, 0, progress_text(progress))
    return ProgressBar(progress.done, progress.total, progress_text(progress))


def _preview_progress(editor: ContourEditor) -> ProgressBar | None:
    """What the preview of a rectangle or click waits for; None if it comes at once."""
    progress = editor.preview.progress
    if progress is None or (progress.stage is Stage.SEGMENTING and progress.seconds < _SLOW_PREVIEW_SECONDS):
        return None
    return ProgressBar(0, 0, progress_text(None) if editor.reader.searching else waiting_stage_text(progress))


def _result(editor: ContourEditor) -> ResultState | None:
    if editor.found is None and editor.result is None:
        return None
    return ResultState(
        result_text(editor),
        result_summary(editor),
        can_apply=not editor.running,
        has_frames=Frames.of(editor.state.volume_node) is not None,
        can_contour_frames=not (editor.running or editor.frames.running or editor.state.current.outdated),
    )


def _key_rows(editor: ContourEditor) -> tuple[KeyRow, ...]:
    if editor.state.prompts is None:
        return ()
    try:
        stack: Stack | None = editor.state.stack()
    except MedSAMError:
        stack = None  # the volume cannot be used any more: the text of the plane says so
    return tuple(
        KeyRow(index, _position(stack, index), key_text(key)) for index, key in editor.state.prompts.keys.items()
    )


def _clicks(editor: ContourEditor) -> ClicksState | None:
    kinds = editor.parameters.prompt_kinds
    if not kinds & {"points", "mask"} and (not kinds or editor.state.prompts is None):
        return None
    return ClicksState(clicks_text(editor), "mask" in kinds)


def _place(editor: ContourEditor, view: ViewGeometry | None) -> tuple[str, tuple[str, str]]:
    """Texts of the plane and of both ends of the range."""
    unknown = (UNKNOWN, UNKNOWN)
    if view is None:
        return "", unknown
    try:
        plane = editor.state.plane_in(view)
        stack = editor.state.stack(plane)
        if editor.parameters.get("ReachPlane") != plane.text():
            return plane_text(plane, stack, view.slab), unknown
        first, last = (_end_text(stack, editor.parameters.number(name)) for name in ("ReachStart", "ReachEnd"))
        return plane_text(plane, stack, view.slab), (first, last)
    except MedSAMError as error:
        return str(error), unknown


def _end_text(stack: Stack, index: int) -> str:
    return slice_name(stack, index) if 0 <= index < stack.shape[0] else UNKNOWN


def _position(stack: Stack | None, index: int) -> str:
    return UNKNOWN if stack is None or not 0 <= index < stack.shape[0] else position_text(stack, index)


def _window(editor: ContourEditor) -> tuple[str, tuple[float, float] | None]:
    """Text of the window in use, and its level and width."""
    try:
        window = editor.reader.window
    except MedSAMError as error:
        return str(error), None
    if window is None:
        return _("Determining the window…"), None
    if window.name == COLOUR:
        return _("Colour image: the model sees it as it is, without a window"), None
    level, width = window.requested or ((window.lower + window.upper) / 2, window.upper - window.lower)
    if CT_PRESETS.get(window.name) == (level, width):
        text = preset_text(window.name)
    else:
        text = _("level {level}, width {width}").format(level=f"{level:.5g}", width=f"{width:.5g}")
    return _("In use: {window}").format(window=text), (level, width)
