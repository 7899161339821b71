"""Which runtime a network is run with: OpenVINO on processors that have it installed, PyTorch everywhere else."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from ..errors import InputError
from ..threads import computing_threads
from .torch_runtime import TorchRuntime

if TYPE_CHECKING:
    from ..models.family import PromptableNetwork
    from .runtime import Runtime

RUNTIMES = ("auto", "torch", "openvino")


def check_runtime(wanted: str, device: str) -> None:
    """Refuse a runtime that cannot be had, before any work is done for it.

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


def make_runtime(
    wanted: str, device: str, identity: str, make_network: Callable[[], PromptableNetwork], input_size: int
) -> tuple[Runtime, list[str]]:
    """The runtime for "auto", "torch" or "openvino", and lines that the user should read.

    Args:
        device: "cpu", "cuda" or "mps".
        identity: of the weights, in characters that a file name may have.
        make_network: gives the network with its weights, on the CPU.
        input_size: side of the encoder's square input.

    Raises:
        InputError: as `check_runtime`; or OpenVINO was asked for and cannot run the network.
    """
    check_runtime(wanted, device)
    torch.set_num_threads(computing_threads())

    def with_torch() -> Runtime:
        return TorchRuntime(make_network(), device)

    if wanted == "torch" or device != "cpu" or not _openvino_installed():
        return with_torch(), []
    try:
        from .openvino_runtime import OpenVINORuntime

        return OpenVINORuntime(identity, make_network, input_size, with_torch, computing_threads()), []
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if wanted == "openvino":
            raise InputError(f"OpenVINO cannot run this model ({reason}): choose --runtime torch") from error
        return with_torch(), [f"OpenVINO could not be used ({reason}); PyTorch is used instead, which is slower"]


def _openvino_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None
