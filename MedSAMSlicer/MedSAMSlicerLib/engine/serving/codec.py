"""Prompts, results and errors as parts of messages.

Functions called ``..._fields``, ``..._arrays`` and ``..._parts`` convert an object into the fields and arrays of a
`Message`. Functions called ``read_...`` convert it back and raise `WorkerError` if the message does not hold it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from ..errors import Cancelled, InputError, MedSAMError, WeightsError, WorkerError, one_line
from ..model_choice import LoadedModel, ModelChoice, RunInfo, Timings
from ..prompts import Box, KeyMask, MaskPrompt, Points, SlicePrompt, StackPrompt
from ..results import Prediction, SliceResult
from .framing import MAX_ARRAY_BYTES, Message

Fields = dict[str, Any]
Arrays = dict[str, np.ndarray]

_ERRORS: dict[str, type[MedSAMError]] = {
    kind.__name__: kind for kind in (MedSAMError, InputError, WeightsError, WorkerError, Cancelled)
}


def choice_fields(choice: ModelChoice) -> Fields:
    return {"choice": asdict(choice)}


def read_choice(message: Message) -> ModelChoice:
    choice = message.part("choice")
    weights = None if choice.fields.get("weights") is None else choice.text("weights")
    return ModelChoice(choice.text("model"), weights, choice.text("device"), choice.text("runtime"))


def box_fields(name: str, box: Box | None) -> Fields:
    return {name: None if box is None else [_plain(v) for v in box.xyxy]}


def read_box(message: Message, name: str) -> Box | None:
    return None if message.fields.get(name, "") is None else Box(*message.numbers(name, 4))


def slice_prompt_parts(name: str, prompt: SlicePrompt) -> tuple[Fields, Arrays]:
    """Box and points as the field `name`, a mask as the array ``name.mask``, ``name.logits`` or ``name.key_mask``."""
    points = None
    if prompt.points is not None:
        pairs = zip(prompt.points.coordinates, prompt.points.positive, strict=True)
        points = [[_plain(x), _plain(y), int(positive)] for (x, y), positive in pairs]
    fields = {name: {**box_fields("box", prompt.box), "points": points}}
    if prompt.key_mask is not None:
        # Packed: there may be one on each of hundreds of slices.
        fields[name]["key_mask"], packed = mask_parts(prompt.key_mask.mask)
        return fields, {f"{name}.key_mask": packed["mask"]}
    if prompt.mask is None:
        return fields, {}
    if prompt.mask.logits is not None:
        return fields, {f"{name}.logits": prompt.mask.logits}
    return fields, {f"{name}.mask": np.asarray(prompt.mask.mask).astype(np.uint8)}


def read_slice_prompt(message: Message, name: str) -> SlicePrompt:
    prompt = message.part(name)
    box, points, mask, key_mask = read_box(prompt, "box"), None, None, None
    if prompt.fields.get("points", "") is not None:
        triples = [Message(f"{name}.points", {"point": item}).numbers("point", 3) for item in prompt.items("points")]
        points = Points(tuple((x, y) for x, y, _ in triples), tuple(positive > 0 for _, _, positive in triples))
    if f"{name}.logits" in message.arrays:
        mask = MaskPrompt(logits=message.array(f"{name}.logits", "float32", 2))
    elif f"{name}.mask" in message.arrays:
        mask = MaskPrompt(mask=message.array(f"{name}.mask", "uint8", 2) > 0)
    if f"{name}.key_mask" in message.arrays:
        packed = {"mask": message.array(f"{name}.key_mask", "uint8", 1)}
        key_mask = KeyMask(read_mask(Message(f"{name}.key_mask", prompt.part("key_mask").fields, packed)))
    return SlicePrompt(box, points, mask, key_mask)


def stack_prompt_parts(prompt: StackPrompt) -> tuple[Fields, Arrays]:
    """The prompt without its slices as the field ``prompt``, each slice as in `slice_prompt_parts`."""
    fields: Fields = {
        "prompt": {
            "slices": [int(index) for index in prompt.slices],
            "in_view": None if prompt.in_view is None else int(prompt.in_view),
            "slice_range": None if prompt.slice_range is None else [int(index) for index in prompt.slice_range],
            **box_fields("box3d", prompt.box3d),
        }
    }
    arrays: Arrays = {}
    for index, slice_prompt in prompt.slices.items():
        slice_fields, slice_arrays = slice_prompt_parts(_slice_prompt_name(index), slice_prompt)
        fields |= slice_fields
        arrays |= slice_arrays
    return fields, arrays


def read_stack_prompt(message: Message) -> StackPrompt:
    prompt = message.part("prompt")
    indices = prompt.integers("slices", len(prompt.items("slices")))
    slices = {index: read_slice_prompt(message, _slice_prompt_name(index)) for index in indices}
    slice_range = None
    if prompt.fields.get("slice_range") is not None:
        first, last = prompt.integers("slice_range", 2)
        slice_range = (first, last)
    in_view = None if prompt.fields.get("in_view") is None else prompt.integer("in_view")
    return StackPrompt(slices, slice_range, read_box(prompt, "box3d"), in_view)


def _slice_prompt_name(index: int) -> str:
    return f"slice_prompt_{int(index)}"


def image_arrays(image: np.ndarray) -> Arrays:
    """A uint8 (rows, columns) or (rows, columns, 3) slice. Raises WorkerError if `image` has another type or shape."""
    if image.dtype != np.uint8 or not _is_slice(image):
        raise WorkerError(f"a slice is {image.dtype} {image.shape}: the inference process takes uint8 (rows, columns)")
    return {"image": image}


def read_image(message: Message) -> np.ndarray:
    """uint8 (rows, columns) or (rows, columns, 3) slice."""
    found = message.arrays.get("image")
    if found is not None and found.ndim == 3 and _is_slice(found):
        return message.array("image", "uint8", 3)
    return message.array("image", "uint8", 2)


def _is_slice(image: np.ndarray) -> bool:
    return image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)


def mask_parts(mask: np.ndarray) -> tuple[Fields, Arrays]:
    """A bool (rows, columns) mask, cropped to its bounding box and packed to one bit for each pixel."""
    box = Box.from_mask(mask)
    rows, columns = (0, 0), (0, 0)
    if box is not None:
        rows, columns = (int(box.y0), int(box.y1) + 1), (int(box.x0), int(box.x1) + 1)
    fields = {"mask_shape": list(mask.shape), "mask_rows": list(rows), "mask_columns": list(columns)}
    return fields, {"mask": np.packbits(mask[slice(*rows), slice(*columns)])}


def read_mask(message: Message) -> np.ndarray:
    """bool (rows, columns) mask, uncropped."""
    shape = message.integers("mask_shape", 2)
    rows, columns = message.integers("mask_rows", 2), message.integers("mask_columns", 2)
    packed = message.array("mask", "uint8", 1)
    inside = all(0 <= start <= stop <= size for (start, stop), size in zip((rows, columns), shape, strict=True))
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    if not inside or shape[0] * shape[1] > MAX_ARRAY_BYTES or packed.size != (height * width + 7) // 8:
        raise WorkerError(f"message '{message.kind}': the mask does not have the size that its fields give")
    mask = np.zeros(shape, dtype=bool)
    pixels = np.unpackbits(packed, count=height * width).reshape(height, width)
    mask[slice(*rows), slice(*columns)] = pixels.astype(bool)
    return mask


def prediction_parts(prediction: Prediction, with_logits: bool = True) -> tuple[Fields, Arrays]:
    fields, arrays = mask_parts(prediction.mask)
    if with_logits:
        arrays["logits"] = np.asarray(prediction.low_res_logits, np.float32)
    return {**fields, "predicted_iou": _or_null(prediction.predicted_iou)}, arrays


def read_prediction(message: Message) -> Prediction:
    """The prediction; its logits are a (0, 0) array if the message has none."""
    logits = message.array("logits", "float32", 2) if "logits" in message.arrays else np.zeros((0, 0), np.float32)
    return Prediction(read_mask(message), message.number("predicted_iou"), logits)


def result_parts(result: SliceResult) -> tuple[Fields, Arrays]:
    mask_fields, arrays = mask_parts(result.mask)
    fields = {
        **mask_fields,
        "index": int(result.index),
        **box_fields("box", result.box),
        "predicted_iou": _or_null(result.predicted_iou),
        "confidence": _or_null(result.confidence),
        "needs_review": bool(result.needs_review),
        "key": bool(result.key),
        "interpolated": bool(result.interpolated),
        "provisional": bool(result.provisional),
    }
    if result.low_res_logits is not None:
        arrays["logits"] = np.asarray(result.low_res_logits, np.float32)
    return fields, arrays


def read_result(message: Message) -> SliceResult:
    return SliceResult(
        index=message.integer("index"),
        mask=read_mask(message),
        box=read_box(message, "box"),
        predicted_iou=message.number("predicted_iou"),
        confidence=message.number("confidence"),
        needs_review=message.flag("needs_review"),
        key=message.flag("key"),
        interpolated=message.flag("interpolated"),
        provisional=message.flag("provisional"),
        low_res_logits=message.array("logits", "float32", 2) if "logits" in message.arrays else None,
    )


def info_fields(info: RunInfo) -> Fields:
    return {
        "loaded": None if info.loaded is None else asdict(info.loaded),
        "timings": {name: _plain(value) for name, value in asdict(info.timings).items()},
        "notes": [str(note) for note in info.notes],
    }


def read_info(message: Message) -> RunInfo:
    loaded = None
    if message.fields.get("loaded") is not None:
        part = message.part("loaded")
        loaded = LoadedModel(*(part.text(field.name) for field in fields(LoadedModel)))
    part = message.part("timings")
    timings = Timings()
    for field in fields(Timings):
        is_count = isinstance(field.default, int)
        setattr(timings, field.name, part.integer(field.name) if is_count else part.number(field.name))
    return RunInfo(loaded, timings, [str(note) for note in message.items("notes")])


def error_fields(error: MedSAMError) -> Fields:
    """The error's class, or its nearest base class in `_ERRORS`, and its message."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    return {"error": kind, "message": one_line(error.brief)}


def read_error(message: Message) -> MedSAMError:
    return _ERRORS.get(message.text("error"), WorkerError)(one_line(message.text("message")))


def _plain(value: Any) -> int | float:
    """Convert a NumPy scalar to a number that JSON takes; integers stay integers."""
    return int(value) if isinstance(value, (int, np.integer)) else float(value)


def _or_null(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
