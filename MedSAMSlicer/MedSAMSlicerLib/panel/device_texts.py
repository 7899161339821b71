"""The device check's module, and texts about its results."""

from __future__ import annotations

from slicer.i18n import tr as _

from ..engine.model_choice import DEVICE_NAMES, RUNTIME_NAMES
from ..processes.job_process import Line

MODULE = "MedSAMSlicerLib.engine.jobs.device_check"


def device_text(entry: Line) -> str:
    """Device and runtime, such as "CPU, OpenVINO"."""
    device, runtime = str(entry.get("device", "")), str(entry.get("runtime", ""))
    return f"{DEVICE_NAMES.get(device, device)}, {RUNTIME_NAMES.get(runtime, runtime)}"


def seconds_text(result: Line) -> str:
    """Time for one slice."""
    seconds = result.get("seconds")
    if not isinstance(seconds, int | float):
        return _("failed")
    return _("{seconds} s").format(seconds=_rounded(seconds))


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2f}" if seconds >= 0.1 else f"{seconds:.3f}"
