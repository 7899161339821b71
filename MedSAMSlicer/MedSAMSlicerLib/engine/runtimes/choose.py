"""Chooses the runtime of a network: OpenVINO on processors if it is installed, PyTorch otherwise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..diagnostics.log import get_logger
from ..environment import computing_threads
from ..errors import InputError, MissingPackage, one_line
from ..model_choice import DEVICE_NAMES, FASTER_CPUS, OPENVINO_DEVICES
from ..models.checkpoints import NetworkFile
from ..optional_packages import check_torch, openvino_installed, torch_installed
from .device_fallback import DeviceFallback
from .devices import OPENVINO_NAMES, name_of_device

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
        if not openvino_installed():
            raise MissingPackage(
                "runtime 'openvino' is not installed: 'pip install openvino', or choose auto or torch",
                "OpenVINO is not installed: install it in the module MedSAMSlicer",
            )
        if device not in OPENVINO_NAMES:
            raise InputError(f"runtime 'openvino' runs on the processor, not on {device!r}: choose --device cpu")
    elif wanted == "torch":
        check_torch("runtime 'torch'")
        if device in OPENVINO_DEVICES:
            raise InputError(f"runtime 'torch' does not run on {device!r}: choose --runtime auto or openvino")
    elif not (openvino_installed() or torch_installed()):
        raise MissingPackage(
            "neither OpenVINO nor PyTorch is installed: 'pip install openvino'",
            "neither OpenVINO nor PyTorch is installed: install the packages in the module MedSAMSlicer",
        )


def make_runtime(wanted: str, device: str, network: NetworkFile) -> tuple[Runtime, list[str]]:
    """Load a network into a runtime.

    Args:
        wanted: "auto", "torch" or "openvino".
        device: one of `DEVICE_NAMES`.
        network: verified weights.

    Returns:
        The runtime and notes for the user. On a graphics device the runtime appends a note when it runs out of memory.

    Raises:
        InputError: as for `check_runtime`, the model needs a package that is not installed, or `wanted` is "openvino"
            and OpenVINO cannot run the network.
        WeightsError: the file does not hold the network.
    """
    check_runtime(wanted, device)

    if device in OPENVINO_DEVICES and network.family.tensor_table is None:
        # The device may have been chosen for another model.
        runtime, notes = make_runtime("auto", "cpu", network)
        instead = (
            f"{network.spec.title} does not run on the device {DEVICE_NAMES[device]}: the processor is used instead"
        )
        return runtime, [instead, *notes]
    if device in OPENVINO_DEVICES:
        numbers = FASTER_CPUS.get(device)
        note = f"Encoder in {numbers}: faster; masks differ a little from those in float32"
        return _on_openvino_device(network, device), [note] if numbers else []
    if device != "cpu":
        from .accelerated import accelerated_runtime
        from .device_memory import memory_of

        return accelerated_runtime(network, device, name_of_device(device), memory_of(device))
    if wanted == "torch" or not openvino_installed():
        return _with_torch(network), []
    try:
        return _with_openvino(network), []
    except (ImportError, OSError, RuntimeError) as error:
        _log.warning("OpenVINO cannot run this model", exc_info=error)
        reason = one_line(str(error), 200) or type(error).__name__
        if wanted == "openvino":
            raise InputError(f"OpenVINO cannot run this model ({reason}): choose --runtime torch") from error
        if not torch_installed():
            check = f"OpenVINO cannot run this model ({reason})"
            raise MissingPackage(f"{check}: install PyTorch, 'pip install torch segment-anything'") from error
        return _with_torch(network), [
            f"OpenVINO could not be used ({reason}); PyTorch is used instead, which is slower"
        ]


def _with_torch(network: NetworkFile) -> Runtime:
    built = network.build()
    import torch

    from .torch_runtime import TorchRuntime

    torch.set_num_threads(computing_threads())
    return TorchRuntime(built, "cpu")


def _with_openvino(network: NetworkFile) -> Runtime:
    if network.family.tensor_table is not None:
        return _written(network, "cpu")
    from .openvino_converted import ConvertedRuntime
    from .openvino_models import convert_in_process

    if not _is_ready_for_openvino(network):
        check_torch(network.spec.title)
    convert = partial(convert_in_process, network)
    return ConvertedRuntime(network.identity, convert, partial(_with_torch, network), computing_threads())


def runtime_with_fallback(wanted: str, device: str, network: NetworkFile) -> DeviceFallback:
    """The runtime of `make_runtime`, which falls back to the processor when a graphics device runs out of memory.

    Raises:
        InputError: as for `make_runtime`.
    """

    def make(on: str) -> tuple[Runtime, list[str]]:
        # A conversion takes up to a minute. In the middle of a run this process would seem to hang, and PyTorch is loaded
        # already.
        needs_conversion = on != device and not _is_ready_for_openvino(network)
        return make_runtime("torch" if needs_conversion else wanted, on, network)

    if device == "cpu":
        return DeviceFallback(make, ["cpu"])
    if device in OPENVINO_DEVICES:
        return DeviceFallback(make, [device, "cpu"])
    from .device_memory import release_all

    return DeviceFallback(make, [device, "cpu"], release_all)


def _on_openvino_device(network: NetworkFile, device: str) -> Runtime:
    try:
        return _written(network, device)
    except RuntimeError as error:
        raise InputError(f"{device!r} cannot be used ({one_line(str(error), 200)}): choose --device cpu") from error


def _written(network: NetworkFile, device: str) -> Runtime:
    """The network as it is written with OpenVINO's operators."""
    from ..models.weight_arrays import read_arrays
    from .openvino_runtime import OpenVINORuntime

    return OpenVINORuntime(
        read_arrays(network), network.family.input_size, computing_threads(), device, network.encoder_identity
    )


def _is_ready_for_openvino(network: NetworkFile) -> bool:
    """Whether OpenVINO can run the network at once, without a conversion."""
    if not openvino_installed():
        return False
    from .openvino_models import is_complete, kept_folder

    return network.family.tensor_table is not None or is_complete(kept_folder(network.identity))
