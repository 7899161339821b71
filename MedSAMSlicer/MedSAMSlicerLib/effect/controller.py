"""Keeps a contouring for what is selected in the Segment Editor, its inference process, and the timer of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..panel import settings
from ..panel.setup import embedding_memory
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.effect_parameters import EffectParameters
from ..scene.worker.transports import Transport
from ..scene.worker.worker_client import WorkerClient
from ..scene.writing.result_writer import ResultWriter
from .texts import segment_name

STEP_MILLISECONDS = 20

_Selection = tuple[Any, Any, str]
"""Volume node, segmentation node, identifier of a segment."""


@dataclass(frozen=True)
class _Aside:
    """The contouring of a segment that is not selected now."""

    contouring: ContourEditor
    writer: ResultWriter

    def close(self) -> None:
        self.contouring.close()
        self.writer.close()


class Driver:
    """One for each effect. A result that was not applied waits until its segment is selected again.

    Args:
        make_transport: makes the transport for one inference process; called when the first slice is needed.
        on_change: something looks different.
        on_result: a run has finished.
    """

    def __init__(
        self, make_transport: Callable[[], Transport], on_change: Callable[[], None], on_result: Callable[[], None]
    ) -> None:
        self.link = WorkerClient(make_transport)
        self.contouring: ContourEditor | None = None
        self.writer: ResultWriter | None = None
        self.problem: MedSAMError | None = None
        """Why there is no contouring, where there might be one."""
        self._on_change, self._on_result = on_change, on_result
        self._aside: dict[_Selection, _Aside] = {}
        self._forgetting = False
        self._timer = qt.QTimer()
        self._timer.interval = STEP_MILLISECONDS
        self._timer.connect("timeout()", self._step)
        embedding_memory.register(self)

    @property
    def parameters(self) -> EffectParameters | None:
        return None if self.contouring is None else self.contouring.parameters

    @property
    def problem_now(self) -> MedSAMError | None:
        """What went wrong last."""
        return (None if self.contouring is None else self.contouring.problem) or self.problem

    @property
    def waiting(self) -> list[str]:
        """Names of the segments, other than the selected one, for which there is a result that was not applied."""
        return [segment_name(one.contouring) for one in self._aside.values() if not one.contouring.gone]

    def is_for(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> bool:
        """Whether what is selected there is what the contouring belongs to."""
        contouring = self.contouring
        if contouring is None or contouring.gone or contouring.parameters.node is not node:
            return False
        return _selected(node) == _selection(contouring)

    def follow(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        """Have a contouring for the volume and the segment that are selected there.

        The run of another one ends, unwritten; a result of it that was not applied is kept.
        """
        if self.is_for(node):
            return
        wanted, ended = _selected(node), self._set_aside()
        if wanted is not None and node is not None:
            try:
                self._take_up(wanted, node)
                self.problem = None
            except MedSAMError as error:
                self.problem = error
        if self.contouring is not None and ended:
            self.contouring.notes = [ended]
        self._changed()

    def _set_aside(self) -> str:
        """Leave the contouring; what the user should read about that."""
        contouring, writer = self.contouring, self.writer
        self.contouring = self.writer = None
        if contouring is None or writer is None:
            return ""
        if contouring.gone:
            # Whoever takes something away during a run reads that nothing was written.
            self.problem = contouring.problem
            _Aside(contouring, writer).close()
            return ""
        self.problem = None
        name, was_running = segment_name(contouring), contouring.running
        if contouring.result is not None and not contouring.kept.applied:
            contouring.suspend()
            self._aside[_selection(contouring)] = _Aside(contouring, writer)
        else:
            _Aside(contouring, writer).close()
        if not was_running:
            return ""
        text = _("The run for segment '{segment}' was ended, because another one was selected: nothing was written.")
        return text.format(segment=name)

    def _take_up(self, wanted: _Selection, node: slicer.vtkMRMLSegmentEditorNode) -> None:
        """Raises InputError if the volume cannot be used."""
        kept = self._aside.pop(wanted, None)
        if kept is not None and kept.contouring.parameters.node is node:
            kept.contouring.resume()
            self.contouring, self.writer = kept.contouring, kept.writer
            return
        if kept is not None:
            kept.close()
        made = ContourEditor(
            *wanted, self.link, EffectParameters(node, settings.preferred), self._changed, self._on_result
        )
        self.contouring, self.writer = made, ResultWriter(made.state)

    def wake(self) -> None:
        """Let the timer run as long as there is something to do."""
        checking = self.writer is not None and self.writer.undo_suspected
        gone = self.contouring is not None and self.contouring.gone
        working = self.contouring.busy if self.contouring is not None else not self.link.idle
        busy = self._forgetting or checking or gone or working
        if busy and not self._timer.isActive():
            self._timer.start()
        elif not busy and self._timer.isActive():
            self._timer.stop()

    def close(self) -> None:
        """Cancel what goes on, forget what waits, and end the inference process."""
        self._set_aside()
        for one in self._aside.values():
            one.close()
        self._aside = {}
        self.link.close()
        self._timer.stop()
        # It would keep all this alive, in a circle through Qt that Python cannot see.
        self._timer.disconnect("timeout()", self._step)

    def forget_encoded_slices(self) -> None:
        """End the process when it has nothing to do; the next one begins with nothing encoded."""
        self._forgetting = True
        if self.contouring is not None:
            self.contouring.forget_encoded()
        self._forget_if_idle()

    def _forget_if_idle(self) -> None:
        if self._forgetting and self.link.idle:
            self._forgetting = False
            self.link.close()

    def _step(self) -> None:
        if self.contouring is not None and self.contouring.gone:
            # Not sooner: what told of the end may still be at it. Not later: it would hold on to the volume.
            self._set_aside()
            self._on_change()
        if self.contouring is not None:
            self.contouring.step()
        else:
            self.link.step()
        if self.writer is not None:
            self.writer.check_undo()
        self._forget_if_idle()
        self.wake()

    def _changed(self) -> None:
        for selection in [selection for selection, one in self._aside.items() if one.contouring.gone]:
            self._aside.pop(selection).close()
        self.wake()
        self._on_change()


def _selection(contouring: ContourEditor) -> _Selection:
    return contouring.volume_node, contouring.segmentation_node, contouring.segment_id


def _selected(node: slicer.vtkMRMLSegmentEditorNode | None) -> _Selection | None:
    """Volume, segmentation and segment; None if one of them is missing."""
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
