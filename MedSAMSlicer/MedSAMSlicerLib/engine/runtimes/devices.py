"""Devices of this computer that networks can run on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..errors import InputError
from ..model_choice import DEVICES

# Device files of the drivers of NVIDIA (including Jetson), of AMD and of the Windows Subsystem for Linux.
_LINUX_DRIVERS = ("nvidia*", "nvhost*", "nvgpu*", "kfd", "dxg")


def available_devices() -> list[str]:
    """Devices that PyTorch can use, the fastest first; the last one is always "cpu"."""
    found = []
    if may_have_accelerator():
        import torch

        if torch.cuda.is_available():
            found.append("cuda")
        if torch.backends.mps.is_available():
            found.append("mps")
    return [*found, "cpu"]


def may_have_accelerator() -> bool:
    """Whether there may be a graphics device: False if a driver that PyTorch needs is missing.

    Importing torch only to learn that there is none would take seconds and half a gigabyte of memory.
    """
    if platform.system() == "Linux":
        return any(any(Path("/dev").glob(name)) for name in _LINUX_DRIVERS)
    if platform.system() == "Darwin":
        return platform.machine() == "arm64"
    return True


def choose_device(wanted: str) -> str:
    """The device for "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: it is unknown or not available.
    """
    if wanted not in DEVICES:
        raise InputError(f"device {wanted!r} is unknown: choose one of {', '.join(DEVICES)}")
    if wanted == "cpu":
        return wanted
    available = available_devices()
    if wanted == "auto":
        return available[0]
    if wanted not in available:
        raise InputError(f"device {wanted!r} is not available on this computer: choose {' or '.join(available)}")
    return wanted


def name_of_device(device: str) -> str:
    """Name that the hardware reports, with the number of threads on a processor. Imports torch."""
    import torch

    if device == "cuda":
        return str(torch.cuda.get_device_name(0))
    processor = platform.processor() or platform.machine()
    if device == "mps":
        return f"{processor} (Metal)"
    return f"{processor}, {torch.get_num_threads()} of {os.cpu_count()} cores"
