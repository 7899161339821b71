"""Chooses the runtime of a network: OpenVINO on processors if it is installed, PyTorch otherwise."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import TYPE_CHECKING

from ..diagnostics.log import get_logger
from ..environment import computing_threads
from ..errors import InputError, one_line
from ..models.checkpoints import NetworkFile
from .device_fallback import DeviceFallback

if TYPE_CHECKING:
    from .runtime import Runtime

_log = get_logger(__name__)
RUNTIMES = ("auto", "torch", "openvino")


def check_runtime(wanted: str, device: str) -> None:
    """Check that a runtime can be used, before any work is done.

    Raises:
        InputError: it is unknown, not installed, or does not run on the device.
    """
    if wanted not in RUNTIMES:
        raise InputError(f"runtime {wanted!r} is unknown: choose one of {', '.join(RUNTIMES)}")
    if wanted == "openvino":
        if not _openvino_installed():
            raise InputError("runtime 'openvino' is not installed: 'pip install openvino', or choose auto or torch")
        if device != "cpu":
            raise InputError(f"runtime 'openvino' runs on the processor, not on {device!r}: choose --device cpu")


def make_runtime(wanted: str, device: str, network: NetworkFile) -> tuple[Runtime, list[str]]:
    """Load a network into a runtime.

    Args:
        wanted: "auto", "torch" or "openvino".
        device: "cpu", "cuda" or "mps".
        network: verified weights.

    Returns:
        The runtime and notes for the user. On a graphics device the runtime appends a note when it runs out of memory.

    Raises:
        InputError: as for `check_runtime`, or `wanted` is "openvino" and OpenVINO cannot run the network.
    """
    check_runtime(wanted, device)

    if device != "cpu":
        from .accelerated import accelerated_runtime
        from .device_memory import memory_of
        from .devices import name_of_device

        return accelerated_runtime(network, device, name_of_device(device), memory_of(device))

    def with_torch() -> Runtime:
        import torch

        from .torch_runtime import TorchRuntime

        torch.set_num_threads(computing_threads())
        return TorchRuntime(network.build(), device)

    if wanted == "torch" or not _openvino_installed():
        return with_torch(), []
    try:
        from .openvino_models import convert_in_process
        from .openvino_runtime import OpenVINORuntime

        convert = partial(convert_in_process, network)
        return OpenVINORuntime(network.identity, convert, with_torch, computing_threads()), []
    except (ImportError, OSError, RuntimeError) as error:
        _log.warning("OpenVINO cannot run this model", exc_info=error)
        reason = one_line(str(error), 200) or type(error).__name__
        if wanted == "openvino":
            raise InputError(f"OpenVINO cannot run this model ({reason}): choose --runtime torch") from error
        return with_torch(), [f"OpenVINO could not be used ({reason}); PyTorch is used instead, which is slower"]


def runtime_with_fallback(wanted: str, device: str, network: NetworkFile) -> DeviceFallback:
    """The runtime of `make_runtime`, which falls back to the processor when a graphics device runs out of memory.

    Raises:
        InputError: as for `make_runtime`.
    """

    def make(on: str) -> tuple[Runtime, list[str]]:
        # A conversion takes up to a minute. In the middle of a run this process would seem to hang, and PyTorch is loaded
        # already.
        needs_conversion = on != device and not _is_converted(network)
        return make_runtime("torch" if needs_conversion else wanted, on, network)

    if device == "cpu":
        return DeviceFallback(make, ["cpu"])
    from .device_memory import release_all

    return DeviceFallback(make, [device, "cpu"], release_all)


def _is_converted(network: NetworkFile) -> bool:
    if not _openvino_installed():
        return False
    from .openvino_models import is_complete, kept_folder

    return is_complete(kept_folder(network.identity))


def _openvino_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None
