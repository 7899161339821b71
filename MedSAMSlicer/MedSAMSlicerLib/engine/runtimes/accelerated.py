"""PyTorch on a graphics device, in half precision if that passes its check, in batches that fit into its memory."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..diagnostics.log import get_logger
from ..environment import computing_threads
from ..errors import is_out_of_memory, one_line
from ..models.checkpoints import NetworkFile
from .device_memory import DeviceMemory
from .half_precision import REVISION, CheckResult, Verdict, VerdictStore, judge, run_check
from .torch_runtime import TorchRuntime

_log = get_logger(__name__)
HALF = "float16"


def accelerated_runtime(
    file: NetworkFile, device: str, device_name: str, memory: DeviceMemory, half: str = HALF
) -> tuple[TorchRuntime, list[str]]:
    """Load a network on a graphics device.

    Args:
        file: weights of the network.
        device: "cuda" or "mps".
        device_name: name that the hardware reports; half precision is checked once for each.
        memory: memory of the device.
        half: the lower precision to check, one of `PRECISIONS`.

    Returns:
        The runtime and notes for the user, to which the runtime appends a note when it runs out of memory.
    """
    # TensorFloat-32, the default of PyTorch for convolutions, has the precision of float16: it is no reference.
    torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(computing_threads())
    notes: list[str] = []

    def on_device(precision: str) -> TorchRuntime:
        return TorchRuntime(file.build(), device, precision, memory, notes)

    verdicts = VerdictStore()
    weights = file.sha256 if file.adapter is None else f"{file.sha256}+{file.adapter.sha256}"
    subject = f"r{REVISION}|{file.spec.key}|{weights}|{torch.__version__}|{device}|{device_name}|{half}"
    verdict, runtime = verdicts.get(subject), None
    if verdict is None:
        # Build one network after the other, so that the device holds one at a time.
        full = run_check(on_device("float32"), file.family)
        verdict, runtime = _tried(full, lambda: on_device(half), file)
        verdicts.put(subject, verdict)
    precision = "half" if verdict.holds else "single"
    notes.insert(0, f"Encoder in {precision} precision on {device_name} ({verdict.reason})")
    return runtime or on_device(half if verdict.holds else "float32"), notes


def _tried(
    full: CheckResult, make: Callable[[], TorchRuntime], file: NetworkFile
) -> tuple[Verdict, TorchRuntime | None]:
    """The verdict, and the runtime in half precision if it may be used."""
    try:
        runtime = make()
        verdict = judge(full, run_check(runtime, file.family))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        # The device lacks an operation in half precision.
        _log.warning("half precision fails", exc_info=error)
        return Verdict(False, f"half precision fails: {one_line(str(error), 150)}"), None
    return verdict, runtime if verdict.holds else None
