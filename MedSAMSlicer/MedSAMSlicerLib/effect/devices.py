"""Which devices are really there: asked of a process that may import torch."""

from __future__ import annotations

from collections.abc import Callable

from ..panel_parts.task_process import Line, TaskProcess

_MODULE = "MedSAMSlicerLib.engine.device_list"


class Devices:
    """Asks when told to, once: without packages there is no answer, and none is waited for.

    Args:
        on_known: called when the devices are known; without packages they never are.
    """

    def __init__(self, on_known: Callable[[], None]) -> None:
        self._on_known = on_known
        self.known: list[str] = []
        """"cpu", "cuda", "mps", those that are there; empty while nobody knows."""
        self._asked = False
        self._task = TaskProcess(self._take, lambda _failure: None)

    def ask(self) -> None:
        """Begin to ask, unless that was done before."""
        if not self._asked:
            self._asked = True
            self._task.start(_MODULE, [])

    def close(self) -> None:
        """Stop asking."""
        self._task.close()

    def _take(self, line: Line) -> None:
        if line.get("kind") == "devices":
            self.known = [str(device) for device in line.get("devices", ())]
            self._on_known()
