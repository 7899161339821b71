"""Which runtime a network is run with: OpenVINO on processors that have it installed, PyTorch everywhere else."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from ..environment import computing_threads
from ..errors import InputError
from ..i18n import tr as _
from ..log import get_logger
from ..models.network_loading import NetworkFile
from .device_fallback import DeviceFallback

if TYPE_CHECKING:
    from .runtime import Runtime

_log = get_logger(__name__)
RUNTIMES = ("auto", "torch", "openvino")


def check_runtime(wanted: str, device: str) -> None:
    """Refuse a runtime that cannot be had, before any work is done for it.

    Raises:
        InputError: it is unknown, not installed, or does not run on the device.
    """
    if wanted not in RUNTIMES:
        raise InputError(
            _("runtime {runtime!r} is unknown: choose one of {runtimes}").format(
                runtime=wanted, runtimes=", ".join(RUNTIMES)
            )
        )
    if wanted == "openvino":
        if not _openvino_installed():
            raise InputError(_("runtime 'openvino' is not installed: 'pip install openvino', or choose auto or torch"))
        if device != "cpu":
            raise InputError(
                _("runtime 'openvino' runs on the processor, not on {device!r}: choose --device cpu").format(
                    device=device
                )
            )


def make_runtime(wanted: str, device: str, network: NetworkFile) -> tuple[Runtime, list[str]]:
    """The runtime for "auto", "torch" or "openvino", and lines that the user should read.

    On a graphics device the runtime adds to these lines when its memory is not enough.

    Args:
        device: "cpu", "cuda" or "mps".

    Raises:
        InputError: as `check_runtime`; or OpenVINO was asked for and cannot run the network.
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
        from .openvino_runtime import OpenVINORuntime

        return OpenVINORuntime(network.identity, network.convert, with_torch, computing_threads()), []
    except (ImportError, OSError, RuntimeError) as error:
        _log.warning("OpenVINO cannot run this model", exc_info=error)
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if wanted == "openvino":
            raise InputError(
                _("OpenVINO cannot run this model ({reason}): choose --runtime torch").format(reason=reason)
            ) from error
        note = _("OpenVINO could not be used ({reason}); PyTorch is used instead, which is slower")
        return with_torch(), [note.format(reason=reason)]


def ladder_of(wanted: str, device: str, network: NetworkFile) -> DeviceFallback:
    """The runtime as `make_runtime` makes it, with the processor to fall back on.

    Raises:
        InputError: as `make_runtime`.
    """

    def make(on: str) -> tuple[Runtime, list[str]]:
        # In the middle of a run nobody waits for a conversion, which takes up to a minute: whoever watches this process
        # would take it to hang. PyTorch is loaded already.
        hurried = on != device and not _converted_already(network)
        return make_runtime("torch" if hurried else wanted, on, network)

    if device == "cpu":
        return DeviceFallback(make, ["cpu"])
    from .device_memory import release_all

    return DeviceFallback(make, [device, "cpu"], release_all)


def _converted_already(network: NetworkFile) -> bool:
    if not _openvino_installed():
        return False
    from .openvino_models import is_complete, kept_folder

    return is_complete(kept_folder(network.identity))


def _openvino_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None
