"""Times one slice on every device of this computer and compares the masks with those of the processor.

    python -m MedSAMSlicerLib.engine.jobs.device_check [--model KEY] [--slices N] [--list]

Lines, besides those of `engine.jobs.job`: ``started`` with the ``backends``, each a ``device`` and a ``runtime``; ``result``
with the fields of `BackendResult`; ``fastest`` with ``device`` and ``runtime``, or null if no result can be used, and the
``conditions`` under which that holds. With ``--list`` there is one line, ``devices``, with the ``devices`` and ``backends``
that exist and the ``conditions`` of now: PyTorch has to be imported to find them.

The slices on which devices are compared are a synthetic one and N further ones, which the parent sends on standard input as
messages ``slice`` with an ``image`` and a ``box`` (`serving.framing`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BufferedReader

import numpy as np

from ..diagnostics.log import get_logger, log_error
from ..environment import lower_priority, return_memory, share_processor
from ..errors import WeightsError, as_user_error
from ..masks import dice
from ..model_choice import DEFAULT_MODEL, FASTER_CPUS, OPENVINO_DEVICES, ModelChoice, Service
from ..models.catalogue import find_model
from ..models.model_files import verified_files
from ..models.weights import find_weights, verify_weights
from ..optional_packages import openvino_installed, torch_installed
from ..prompts import Box
from ..results import Prediction
from ..runtimes.check_image import phantom_slice
from .check_conditions import conditions
from .job import SendLine, add_attached, run_job

_log = get_logger("MedSAMSlicerLib.engine.jobs.device_check")
LEAST_DICE = 0.99
"""Rounding changes single pixels at the edge of a mask; a faulty driver gives another shape, or an empty mask."""
LARGEST_IOU_DIFFERENCE = 0.02
LARGEST_LOGIT_DIFFERENCE = 0.02
"""Root mean square, as a share of that of the reference: 1e-5 where both compute in float32; up to 0.003 with LiteMedSAM's encoder
in float16, on a phantom, a CT and an MR."""
REPEATS = 3
_ENOUGH_SECONDS = 4.0

Backend = tuple[str, str]
"""A device, one of `DEVICE_NAMES`, and a runtime ("torch" or "openvino")."""
CheckSlice = tuple[np.ndarray, Box]
"""A uint8 (rows, columns[, 3]) slice and a box on it."""


@dataclass(frozen=True)
class BackendResult:
    """Result of one backend.

    Attributes:
        device: one of `DEVICE_NAMES`.
        runtime: "torch" or "openvino".
        name: name that the hardware reports.
        seconds: shortest of a few times for one slice, encoder and decoder; None if it failed.
        dice: smallest Dice coefficient of its masks and the reference's, 0..1; None if it failed or there is no reference.
        agrees: whether its result may be used.
        message: why it may not be used, in one line, or ''.
    """

    device: str
    runtime: str
    name: str
    seconds: float | None
    dice: float | None
    agrees: bool
    message: str = ""


def list_backends(devices: Sequence[str], needs_torch: bool = True) -> list[Backend]:
    """Backends of this computer, the reference first: PyTorch on the processor, or OpenVINO where PyTorch is missing.

    Args:
        devices: as returned by `available_devices`.
        needs_torch: whether the model runs with OpenVINO only once PyTorch has converted it.
    """
    on_processor = [("cpu", "torch")] if torch_installed() else []
    if openvino_installed() and (torch_installed() or not needs_torch):
        on_processor.append(("cpu", "openvino"))
    # Shorter numbers are the user's own choice: masks differ too much where a box lies about no object.
    compared = [device for device in devices if device != "cpu" and device not in FASTER_CPUS]
    others = [(device, "openvino" if device in OPENVINO_DEVICES else "torch") for device in compared]
    if needs_torch:
        others = [(device, runtime) for device, runtime in others if runtime == "torch"]
    return [*on_processor, *others]


def check_backends(
    model: str,
    backends: Sequence[Backend],
    make_service: Callable[[], Service],
    name_of: Callable[[str], str],
    further: Sequence[CheckSlice] = (),
) -> Iterator[BackendResult]:
    """Segment the check slices with each backend, and time the first of them.

    Args:
        model: key in the catalogue.
        backends: as returned by `list_backends`; the first one is the reference.
        make_service: returns a service that caches no embeddings, so that each run encodes. It is called once for each
            backend, so that the memory of the previous one is free.
        name_of: returns the name that the hardware of a device reports.
        further: slices to compare besides the synthetic one.
    """
    reference: list[Prediction] | None = None
    for device, runtime in backends:
        service = make_service()
        choice = ModelChoice(model, device=device, runtime=runtime)
        try:
            service.load(choice)
            first, seconds = _timed(lambda: service.preview(choice, *phantom_slice()))  # noqa: B023 - called at once
            found = [first, *(service.preview(choice, image, box) for image, box in further)]
            if service.load(choice).device != device:
                # The service has fallen back to the processor.
                raise MemoryError(f"{device} has not enough memory")
        except Exception as error:
            failure = as_user_error(error)
            log_error(_log, failure, "the check of %s with %s failed", device, runtime)
            yield BackendResult(device, runtime, name_of(device), None, None, False, str(failure))
            continue
        if (device, runtime) == backends[0]:
            reference = found
        overlap, refusal = _compared(found, reference)
        yield BackendResult(device, runtime, name_of(device), seconds, overlap, not refusal, refusal)


def fastest(results: Sequence[BackendResult]) -> Backend | None:
    """The fastest backend whose result agrees with the reference, or None."""
    usable = [result for result in results if result.agrees and result.seconds is not None]
    best = min(usable, key=lambda result: result.seconds or 0.0, default=None)
    return None if best is None else (best.device, best.runtime)


def seconds_per_slice(service: Service, choice: ModelChoice) -> float:
    """Shortest time to encode and decode the check slice, in seconds. `service` caches no embeddings."""
    image, box = phantom_slice()
    return _timed(lambda: service.preview(choice, image, box))[1]


def _timed(run: Callable[[], Prediction]) -> tuple[Prediction, float]:
    """The result of `run` and its shortest time in seconds. The first run is not timed, because devices warm up."""
    begin = time.perf_counter()
    prediction = run()
    times: list[float] = []
    while len(times) < REPEATS and (not times or time.perf_counter() - begin < _ENOUGH_SECONDS):
        start = time.perf_counter()
        prediction = run()
        times.append(time.perf_counter() - start)
    return prediction, min(times)


def _compared(found: list[Prediction], reference: list[Prediction] | None) -> tuple[float | None, str]:
    """Smallest Dice coefficient with the reference, and why the device may not be used; '' if it may."""
    if reference is None:
        return None, "the processor failed, so that this result cannot be checked: choose the device cpu"
    if not reference[0].mask.any():
        # Two empty masks are equal but prove nothing.
        return None, "the processor finds nothing on the check slice: verify the model's weights"
    pairs = list(zip(found, reference, strict=True))
    overlap = min(dice(mine.mask, known.mask) for mine, known in pairs)
    if all(_agrees(mine, known) for mine, known in pairs):
        return overlap, ""
    return overlap, f"its masks differ from the processor's (Dice {overlap:.3f}): do not use this device"


def _agrees(found: Prediction, reference: Prediction) -> bool:
    # Comparisons with not-a-number are False.
    return bool(
        dice(found.mask, reference.mask) >= LEAST_DICE
        and abs(found.predicted_iou - reference.predicted_iou) <= LARGEST_IOU_DIFFERENCE
        and _size(found.low_res_logits - reference.low_res_logits)
        <= LARGEST_LOGIT_DIFFERENCE * _size(reference.low_res_logits)
    )


def _size(logits: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(logits, dtype=np.float64))))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add_attached(parser)
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="KEY")
    parser.add_argument("--slices", type=int, default=0, metavar="N", help="read N slices from standard input")
    parser.add_argument("--list", action="store_true", help="list the devices and check nothing")
    options = parser.parse_args(arguments)
    if options.list:
        return run_job(lambda send: _list(options.model, send), options.attached)
    slices: list[CheckSlice] = []
    return run_job(
        lambda send: _check(options.model, slices, send),
        options.attached,
        lambda stream: slices.extend(read_slices(stream, options.slices)),
    )


def slice_message(image: np.ndarray, box: Box) -> bytes:
    """What the parent sends for each of the N slices."""
    from ..serving.codec import box_fields
    from ..serving.framing import Message, encode

    return encode(Message("slice", box_fields("box", box), {"image": image}))


def read_slices(stream: BufferedReader, count: int) -> Iterator[CheckSlice]:
    """The slices that the parent has sent; fewer if the stream ends before."""
    from ..serving.codec import read_box, read_image
    from ..serving.framing import read_messages

    # The numbers come first: after the last one, waiting for a further message would never end.
    for _number, message in zip(range(count), read_messages(stream), strict=False):
        box = read_box(message, "box")
        if box is not None:
            yield read_image(message), box


def _list(model: str, send: SendLine) -> None:
    from ..runtimes.devices import available_devices

    spec, devices = find_model(model), available_devices()
    try:
        weights = verify_weights(spec, find_weights(spec))
    except WeightsError:
        weights = "missing"
    backends = _fields_of(list_backends(devices, spec.needs_torch))
    send("devices", devices=devices, backends=backends, conditions=conditions(devices, spec.base_spec.key, weights))


def _check(model: str, slices: Sequence[CheckSlice], send: SendLine) -> None:
    spec = find_model(model)
    # Missing or wrong weights have nothing to do with devices: report them once, before torch is imported.
    weights = verified_files(spec).sha256

    # As in the inference process, so that the times are the same.
    share_processor()
    return_memory()
    lower_priority()
    from ..runtimes.devices import available_devices, name_of_device
    from ..serving.service import SegmentationService

    devices = available_devices()
    backends = list_backends(devices, spec.needs_torch)
    send("started", backends=_fields_of(backends))
    results = []
    for result in check_backends(model, backends, lambda: SegmentationService(cache_bytes=0), name_of_device, slices):
        results.append(result)
        send("result", **asdict(result))
    device, runtime = fastest(results) or (None, None)
    send("fastest", device=device, runtime=runtime, conditions=conditions(devices, spec.base_spec.key, weights))


def _fields_of(backends: Sequence[Backend]) -> list[dict[str, str]]:
    return [{"device": device, "runtime": runtime} for device, runtime in backends]


if __name__ == "__main__":
    sys.exit(main())
