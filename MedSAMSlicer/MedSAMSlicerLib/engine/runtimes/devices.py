"""Devices of this computer that networks can run on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..environment import computing_threads, processor_name
from ..errors import InputError
from ..model_choice import BFLOAT16_CPU, DEVICES, FASTER_CPUS, INT8_CPU, OPENVINO_DEVICES
from ..optional_packages import check_torch, openvino_installed, torch_installed

# Device files of the drivers of NVIDIA (including Jetson), of AMD and of the Windows Subsystem for Linux.
_LINUX_DRIVERS = ("nvidia*", "nvhost*", "nvgpu*", "kfd", "dxg")
OPENVINO_NAMES = {"cpu": "CPU", **dict.fromkeys(FASTER_CPUS, "CPU"), "intel-gpu": "GPU", "intel-npu": "NPU"}
"""What OpenVINO calls a device."""


def available_devices() -> list[str]:
    """Devices that can be used; the first one is the one to use as long as nothing is known about them.

    These are graphics devices that PyTorch can use, "cpu", and what OpenVINO finds of `OPENVINO_DEVICES`.
    """
    return [*_torch_devices(), "cpu", *_openvino_devices()]


def _torch_devices() -> list[str]:
    found = []
    if may_have_accelerator() and torch_installed():
        import torch

        if torch.cuda.is_available():
            found.append("cuda")
        if torch.backends.mps.is_available():
            found.append("mps")
    return found


def _openvino_devices() -> list[str]:
    if not openvino_installed():
        return []
    from .openvino_int8 import adds_exactly
    from .openvino_network import core

    # Several devices of a kind are called GPU.0, GPU.1 and so on, and "GPU" is the first of them.
    there = {name.partition(".")[0] for name in core().available_devices}
    absent = set()
    if "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        # It would be emulated, or float32 be used instead.
        absent.add(BFLOAT16_CPU)
    if not adds_exactly():
        absent.add(INT8_CPU)
    return [device for device in OPENVINO_DEVICES if OPENVINO_NAMES[device] in there and device not in absent]


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
    """The device for "auto" or a name of a device.

    Raises:
        InputError: it is unknown or not available.
    """
    if wanted not in DEVICES:
        raise InputError(f"device {wanted!r} is unknown: choose one of {', '.join(DEVICES)}")
    if wanted == "cpu":
        return wanted
    if wanted in ("cuda", "mps"):
        check_torch(f"device {wanted!r}")
    if wanted == "auto":
        # The first of `available_devices`, without trying OpenVINO's.
        return next(iter(_torch_devices()), "cpu")
    available = available_devices()
    if wanted not in available:
        raise InputError(f"device {wanted!r} is not available on this computer: choose {' or '.join(available)}")
    return wanted


def name_of_device(device: str) -> str:
    """Name that the hardware reports, with the number of threads on a processor."""
    if device == "cuda":
        import torch

        return str(torch.cuda.get_device_name(0))
    if device == "mps":
        return f"{processor_name()} (Metal)"
    if device in ("intel-gpu", "intel-npu"):
        from .openvino_network import core

        return str(core().get_property(OPENVINO_NAMES[device], "FULL_DEVICE_NAME"))
    return f"{processor_name()}, {computing_threads()} of {os.cpu_count()} cores"
