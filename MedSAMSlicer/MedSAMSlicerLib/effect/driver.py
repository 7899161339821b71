"""Keeps a contouring for what is selected in the Segment Editor, its inference process, and the timer of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from ..engine.errors import MedSAMError
from ..scene.apply_result import ResultWriter
from ..scene.contouring import Contouring
from ..scene.effect_parameters import EffectParameters
from ..scene.transports import Transport
from ..scene.worker_link import WorkerLink
from ..setup import encoded_slices

STEP_MILLISECONDS = 20


class Driver:
    """One for each effect.

    Args:
        make_transport: makes the transport for one inference process; called when the first slice is needed.
        on_change: something looks different.
        on_result: a run has finished.
    """

    def __init__(
        self, make_transport: Callable[[], Transport], on_change: Callable[[], None], on_result: Callable[[], None]
    ) -> None:
        self.link = WorkerLink(make_transport)
        self.contouring: Contouring | None = None
        self.writer: ResultWriter | None = None
        self.problem: MedSAMError | None = None
        """Why there is no contouring, where there might be one."""
        self._on_change, self._on_result = on_change, on_result
        self._forgetting = False
        self._timer: Any = qt.QTimer()
        self._timer.interval = STEP_MILLISECONDS
        self._timer.connect("timeout()", self._step)
        encoded_slices.register(self)

    @property
    def parameters(self) -> EffectParameters | None:
        return None if self.contouring is None else self.contouring.parameters

    def follow(self, node: slicer.vtkMRMLSegmentEditorNode | None) -> None:
        """Have a contouring for the volume and the segment that are selected there. Another one ends, unwritten."""
        wanted = _selected(node)
        if self.contouring is not None and self._is_for(wanted) and not self.contouring.gone:
            return
        if self.contouring is not None:
            # Whoever takes something away during a run reads that nothing was written.
            self.problem = self.contouring.problem if self.contouring.gone else None
            self.contouring.close()
            self.contouring = self.writer = None
        if wanted is not None and node is not None:
            try:
                self.contouring = Contouring(*wanted, self.link, EffectParameters(node), self._changed, self._on_result)
                self.writer = ResultWriter(self.contouring)
                self.problem = None
            except MedSAMError as error:
                self.problem = error
        self._changed()

    def wake(self) -> None:
        """Let the timer run as long as there is something to do."""
        busy = self._forgetting or (self.contouring.busy if self.contouring is not None else not self.link.idle)
        if busy and not self._timer.isActive():
            self._timer.start()
        elif not busy and self._timer.isActive():
            self._timer.stop()

    def close(self) -> None:
        """Cancel what goes on, and end the inference process."""
        if self.contouring is not None:
            self.contouring.close()
            self.contouring = self.writer = None
        self.link.close()
        self._timer.stop()

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
        if self.contouring is not None:
            self.contouring.step()
        else:
            self.link.step()
        self._forget_if_idle()
        self.wake()

    def _changed(self) -> None:
        self.wake()
        self._on_change()

    def _is_for(self, wanted: tuple[Any, Any, str] | None) -> bool:
        contouring = self.contouring
        return contouring is not None and wanted == (
            contouring.volume_node,
            contouring.segmentation_node,
            contouring.segment_id,
        )


def _selected(node: slicer.vtkMRMLSegmentEditorNode | None) -> tuple[Any, Any, str] | None:
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
