"""Which devices are really there: asked of a process that may import torch."""

from __future__ import annotations

from collections.abc import Callable

from ..panel.job_process import JobProcess, Line

_MODULE = "MedSAMSlicerLib.engine.jobs.device_check"


class Devices:
    """Asks when told to, until there is an answer: without packages there is none, and it is not waited for.

    Args:
        on_known: called when the devices are known.
    """

    def __init__(self, on_known: Callable[[], None]) -> None:
        self._on_known = on_known
        self.known: list[str] = []
        """"cpu", "cuda", "mps", those that are there; empty while nobody knows."""
        self._asked = False
        self._task = JobProcess(self._take, self._ended)

    def ask(self) -> None:
        """Begin to ask, unless that was done before and has not failed."""
        if not self._asked:
            self._asked = True
            self._task.start(_MODULE, ["--list"])

    def _ended(self, _failure: str | None) -> None:
        # Packages may be there when the effect is activated the next time.
        self._asked = bool(self.known)

    def close(self) -> None:
        """Stop asking."""
        self._task.close()

    def _take(self, line: Line) -> None:
        if line.get("kind") == "devices":
            self.known = [str(device) for device in line.get("devices", ())]
            self._on_known()
