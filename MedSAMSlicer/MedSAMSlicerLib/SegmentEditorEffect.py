"""The effect MedSAM of the Segment Editor: mouse, keys and widgets on one side, `scene.editing.contour_editor` on the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

from .effect import slice_views
from .effect.availability import Availability
from .effect.commands import STATUS_MILLISECONDS, Commands
from .effect.controller import EffectController
from .effect.in_use import InUse
from .effect.options_frame import OptionsFrame
from .effect.options_state import options_state, progress_bar
from .effect.overlays import Overlays
from .effect.registration import new_scripted_effect
from .effect.run_display import RunDisplay
from .effect.shortcuts import Shortcuts, segment_editor_of
from .effect.texts import finished_text, found_something, help_text
from .effect.unapplied import UnappliedResults
from .effect.view_events import PRESSES, ViewEvents
from .engine.diagnostics.details import record_events
from .engine.diagnostics.log import get_logger, log_error
from .engine.errors import MedSAMError
from .panel.automatic_check import AutomaticCheck
from .panel.check_slices import check_messages
from .processes.qprocess_transport import inference_process
from .scene.state.effect_parameters import EFFECT_NAME, EffectParameters
from .scene.volume.view_plane import ViewGeometry
from .scene.worker.transport import Transport

_log = get_logger(__name__)
_ICONS = Path(__file__).resolve().parents[1] / "Resources" / "Icons"


class SegmentEditorEffect(Commands, AbstractScriptedSegmentEditorEffect):
    """Passes events of Slicer on to the tools of the selected segment, and shows what they have.

    Scripts may set options (`scene.state.effect_parameters`) and call the commands (`effect.commands`).

    Attributes:
        make_transport: makes the transport to an inference process; may be replaced before the effect is used.
    """

    def __init__(self, scriptedEffect: slicer.qSlicerSegmentEditorScriptedEffect) -> None:
        scriptedEffect.name = EFFECT_NAME
        scriptedEffect.title = _("MedSAM")
        scriptedEffect.perSegment = True
        scriptedEffect.requireSegments = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        record_events()
        self.make_transport: Callable[[], Transport] = inference_process
        self._overlays = Overlays(scriptedEffect)
        self._unapplied = UnappliedResults(scriptedEffect, lambda: self._controller.editors, self._changed)
        self._run_display = RunDisplay(self._overlays, self._show_progress)
        self._controller = EffectController(
            lambda: self.make_transport(),
            lambda: self._available.current.preferred,
            self._changed,
            self._redrawn,
            self._finished,
            self._step,
            lambda: self._run_display.waiting,
        )
        self._frame: OptionsFrame | None = None
        self._available = Availability(self._devices_known)
        self._check = AutomaticCheck(self._computing, self._slices_to_check, self._check_changed)
        self._editor: slicer.qMRMLSegmentEditorWidget | None = None
        self._shortcuts: Shortcuts | None = None
        self._in_use = InUse(self._use_changed)
        self._events = ViewEvents(self._entered, self._key_pressed)
        self._observed: list[tuple[slicer.vtkMRMLNode, int]] = []
        self._active = self._drawing = False
        self._reported: MedSAMError | None = None

    # Interface of Slicer's effects

    def clone(self) -> Any:
        return new_scripted_effect()

    def icon(self) -> Any:
        # Slicer asks once, and the user may change between a light and a dark style: these colours are seen on both.
        return qt.QIcon(str(_ICONS / "SegmentEditorEffect.png"))

    def helpText(self) -> str:
        return help_text()

    def createCursor(self, _widget: Any) -> Any:
        return qt.QCursor(qt.Qt.CrossCursor)

    def setMRMLDefaults(self) -> None:
        node = self.scriptedEffect.parameterSetNode()
        if node is not None:
            EffectParameters(node).set_defaults()
        if self._active:
            # Slicer sends nothing else when the Segment Editor gets another parameter node while an effect is active.
            self.updateGUIFromMRML()

    def setupOptionsFrame(self) -> None:
        self._frame = OptionsFrame(self._parameters, self)
        self.scriptedEffect.addOptionsWidget(self._frame.widget)

    def activate(self) -> None:
        # Loading a scene that was saved without this extension may have overwritten the node.
        self.setMRMLDefaults()
        self._active = True
        self._overlays.attach()
        self._unapplied.watch()
        self._editor = segment_editor_of(self.scriptedEffect)
        keys = {"N": self.goToNextReview, "K": self.keepSlice, "Ctrl+Return": self.apply, "Ctrl+Enter": self.apply}
        self._shortcuts = Shortcuts(self._editor, keys, self.escape)
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._focus_changed)
        self._in_use.take()
        self._available.refresh()
        self._check.set_backends(self._available.current.backends)
        self._follow()
        self._look()
        self._changed()

    def deactivate(self) -> None:
        """Another effect was chosen, or none, or another module. Slicer does not say which, so a run continues."""
        self._active = False
        if self._shortcuts is not None:
            self._shortcuts.remove()
            self._shortcuts = None
        slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._focus_changed)
        self._in_use.leave()
        self._check.pause()
        self._observe(None)
        if self.contouring is not None:
            self.contouring.look_away()
        self._overlays.detach()
        self._controller.wake()

    def cleanup(self) -> None:
        if self._active:
            self.deactivate()
        self._unapplied.stop()
        self._controller.close()
        self._check.close()
        self._available.close()

    def updateGUIFromMRML(self) -> None:
        self._follow()
        if self.contouring is not None and not self.contouring.state.gone:
            self.contouring.read_prompts()
        self._changed()

    def updateMRMLFromGUI(self) -> None:
        """Nothing to do: widgets write options at once."""

    def sourceVolumeNodeChanged(self) -> None:
        if self._active:
            self._follow()

    def layoutChanged(self) -> None:
        if self._active:
            self._events.leave_view(self.contouring)
            self._overlays.attach()
            self._changed()

    def processViewNodeEvents(
        self, _node: slicer.vtkMRMLAbstractViewNode, _event: int, viewWidget: slicer.qMRMLSliceWidget
    ) -> None:
        if not slice_views.is_slice_view(viewWidget):
            return
        self._overlays.update(self.contouring, only=viewWidget)
        self._controller.wake()
        if viewWidget is self._view_in_use():
            self._entered()

    def processInteractionEvents(
        self, interactor: vtk.vtkRenderWindowInteractor, event: int, viewWidget: slicer.qMRMLSliceWidget
    ) -> bool:
        if not (self._in_use and slice_views.is_slice_view(viewWidget)):
            return False
        if event in PRESSES:
            self._follow()
        editor = self.contouring
        if editor is None or editor.state.gone:
            return False
        return self._events.process(editor, interactor, event, viewWidget)

    def _entered(self) -> None:
        self._look()
        self._show()

    def _key_pressed(self, key: str, view: slicer.qMRMLSliceWidget) -> bool:
        """Handle a key over a slice view. Returns False for keys that others may handle."""
        if key == "Escape":  # only in a window in which the shortcuts do not work
            return self.escape()
        if key == "BackSpace":  # over a point of a markup, Slicer deletes that
            return not slice_views.is_over_handle(view) and self.undoPrompt()
        if key in ("Return", "KP_Enter") and self.contouring is not None and self.contouring.points.pending:
            self.run()
            return True
        return False

    # Between the parts

    def _parameters(self) -> EffectParameters | None:
        node = self.scriptedEffect.parameterSetNode()
        return None if node is None else EffectParameters(node, lambda: self._available.current.preferred)

    def _follow(self) -> None:
        if self._active:
            node, before = self.scriptedEffect.parameterSetNode(), self.contouring
            self._observe(node)
            self._controller.follow(node)
            if self.contouring is not None and self.contouring is not before:
                self._in_use.take()

    def _observe(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        """Observe what Slicer does not tell effects: another segment was selected, or one was hidden or shown."""
        segmentation = None if node is None else node.GetSegmentationNode()
        wanted = [] if node is None else [(node, vtk.vtkCommand.ModifiedEvent, lambda *_: self._follow())]
        if segmentation is not None:
            wanted.append((segmentation, slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, lambda *_: self._show()))
        if [subject for subject, _tag in self._observed] == [subject for subject, *_rest in wanted]:
            return
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        self._observed = [(subject, subject.AddObserver(event, call)) for subject, event, call in wanted]

    def _focus_changed(self, _before: qt.QWidget | None, now: qt.QWidget | None) -> None:
        if self._active and now is not None and self._editor is not None and self._editor.isAncestorOf(now):
            self._in_use.take()

    def _use_changed(self) -> None:
        """Mouse and keys go to this effect from now on, or to that of another Segment Editor."""
        if not self._in_use and self.contouring is not None:
            self.contouring.mouse.abandon()
        self._changed()

    def _changed(self) -> None:
        if self._shortcuts is not None:
            can_escape = self.contouring is not None and self.contouring.mouse.can_escape
            self._shortcuts.update(bool(self._in_use), bool(self._in_use) and can_escape)
        if self._controller.problem_now is not None:
            log_error(_log, self._controller.problem_now, "shown to the user")
        if self._active:
            self._redraw()
            self._show()
        elif self._controller.problem_now is not self._reported:
            self._reported = self._controller.problem_now
            if self._reported is not None:
                slicer.util.showStatusMessage(f"MedSAM: {self._reported}", STATUS_MILLISECONDS)
        self._controller.wake()

    def _step(self) -> None:
        if self._active:
            self._run_display.step(self.contouring)

    def _redrawn(self, previewed: bool) -> None:
        """Only the rectangle or preview looks different: as a rule, the options do not."""
        self._redraw(previewed)
        self._show_progress()

    def _redraw(self, previewed: bool = False) -> None:
        """Redraw the views. While a rectangle is drawn only its own view is redrawn, to keep up with the mouse."""
        if self._active:
            drawing = self.contouring is not None and self.contouring.rectangle.drawing
            before, self._drawing = self._drawing, drawing
            # All views once, to remove an earlier result from them.
            view = self._events.view
            self._overlays.update(
                self.contouring, only=view if drawing and before else None, at_once=view if previewed else None
            )

    def _show_progress(self) -> None:
        editor = self.contouring
        if self._frame is None or editor is None or editor.state.gone:
            return
        if progress_bar(editor) != self._frame.progress:
            self._show()

    def _show(self) -> None:
        if self._frame is not None and self._active:
            self._frame.show(
                options_state(
                    self.contouring,
                    self._parameters(),
                    self._available.current,
                    self._view_geometry(),
                    self._controller.problem,
                    self._controller.waiting,
                    self._check.text,
                )
            )

    def _finished(self) -> None:
        """A run has finished, perhaps while another effect or module is active."""
        editor = self.contouring
        if editor is None:
            return
        self._check.result_found()
        if not self._active:
            # Nothing is written unseen, not even with ApplyAtOnce: the result stays a preview until the user returns.
            slicer.util.showStatusMessage(finished_text(editor), STATUS_MILLISECONDS)
        elif editor.parameters.flag("ApplyAtOnce") and found_something(editor) and not editor.state.current.outdated:
            self.apply()

    # The check of this computer

    def _devices_known(self) -> None:
        self._check.set_backends(self._available.current.backends)
        self._show()

    def _computing(self) -> bool:
        editor = self.contouring
        return not self._active or (not self._controller.client.idle if editor is None else editor.busy)

    def _slices_to_check(self) -> list[bytes]:
        return [] if self.contouring is None else check_messages(self.contouring.state.volume_node)

    def _check_changed(self) -> None:
        self._available.prefer()
        self._show()

    def _view_in_use(self) -> slicer.qMRMLSliceWidget | None:
        """The view that the user works in, or the first view; None without views."""
        return self._events.view or next(iter(slice_views.slice_views()), None)

    def _view_geometry(self) -> ViewGeometry | None:
        view = self._view_in_use()
        return None if view is None else slice_views.geometry_of(view)

    def _selected_key(self) -> int | None:
        return None if self._frame is None else self._frame.selected_key

    def _look(self) -> None:
        geometry = self._view_geometry()
        if self.contouring is not None and geometry is not None:
            self.contouring.look_at(geometry)
            self._controller.wake()
