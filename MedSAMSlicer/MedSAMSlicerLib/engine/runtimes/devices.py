"""Which devices there are to compute on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..errors import InputError
from ..i18n import tr as _

DEVICES = ("auto", "cpu", "cuda", "mps")
# What drivers of NVIDIA (Jetson among them), of AMD and of Windows' Linux put there.
_LINUX_DRIVERS = ("nvidia*", "nvhost*", "nvgpu*", "kfd", "dxg")


def available_devices() -> list[str]:
    """Devices that are really there, the fastest first; always ends with "cpu"."""
    found = []
    if may_have_accelerator():
        import torch

        if torch.cuda.is_available():
            found.append("cuda")
        if torch.backends.mps.is_available():
            found.append("mps")
    return [*found, "cpu"]


def may_have_accelerator() -> bool:
    """Whether torch has to be asked: False where a driver that it needs is missing.

    Importing torch to hear that there is nothing takes seconds and half a gigabyte of memory.
    """
    if platform.system() == "Linux":
        return any(any(Path("/dev").glob(name)) for name in _LINUX_DRIVERS)
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return True


def choose_device(wanted: str) -> str:
    """The device for "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: it is unknown, or not there.
    """
    if wanted not in DEVICES:
        raise InputError(
            _("device {device!r} is unknown: choose one of {devices}").format(device=wanted, devices=", ".join(DEVICES))
        )
    if wanted == "cpu":
        return wanted
    available = available_devices()
    if wanted == "auto":
        return available[0]
    if wanted not in available:
        raise InputError(
            _("device {device!r} is not available on this computer: choose {devices}").format(
                device=wanted, devices=" or ".join(available)
            )
        )
    return wanted


def name_of_device(device: str) -> str:
    """What the hardware calls itself."""
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name(0))
    processor = platform.processor() or platform.machine()
    if device == "mps":
        return f"{processor} (Metal)"
    return f"{processor}, {torch.get_num_threads()} of {os.cpu_count()} cores"
