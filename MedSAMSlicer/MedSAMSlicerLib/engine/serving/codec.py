"""Prompts, results and errors as parts of messages, and back, checked on the way in."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from ..errors import Cancelled, InputError, MedSAMError, WeightsError, WorkerError, one_line
from ..model_choice import LoadedModel, ModelChoice, RunInfo, Timings
from ..prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt
from ..results import Prediction, SliceResult
from .framing import MAX_PAYLOAD_BYTES, Message

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


def read_box(message: Message, name: str) -> Box:
    return Box(*message.numbers(name, 4))


def read_optional_box(message: Message, name: str) -> Box | None:
    return None if message.fields.get(name, "") is None else read_box(message, name)


def slice_prompt_parts(name: str, prompt: SlicePrompt) -> tuple[Fields, Arrays]:
    """A prompt on one slice: numbers as fields under `name`, a mask as an array ``name.mask`` or ``name.logits``."""
    points = None
    if prompt.points is not None:
        pairs = zip(prompt.points.coordinates, prompt.points.positive, strict=True)
        points = [[_plain(x), _plain(y), int(positive)] for (x, y), positive in pairs]
    fields = {name: {**box_fields("box", prompt.box), "points": points}}
    if prompt.mask is None:
        return fields, {}
    if prompt.mask.logits is not None:
        return fields, {f"{name}.logits": prompt.mask.logits}
    return fields, {f"{name}.mask": np.asarray(prompt.mask.mask).astype(np.uint8)}


def read_slice_prompt(message: Message, name: str) -> SlicePrompt:
    prompt = message.part(name)
    box, points, mask = read_optional_box(prompt, "box"), None, None
    listed = prompt.fields.get("points", "")
    if listed is not None:
        if not isinstance(listed, list):
            raise WorkerError(f"message '{message.kind}' holds no list of points")
        triples = [Message("prompt.point", {"point": entry}).numbers("point", 3) for entry in listed]
        points = Points(tuple((x, y) for x, y, _ in triples), tuple(sign > 0 for _, _, sign in triples))
    if f"{name}.logits" in message.arrays:
        mask = MaskPrompt(logits=message.array(f"{name}.logits", "float32", 2))
    elif f"{name}.mask" in message.arrays:
        mask = MaskPrompt(mask=message.array(f"{name}.mask", "uint8", 2) > 0)
    return SlicePrompt(box, points, mask)


def prompt_arrays(prompt: StackPrompt) -> Arrays:
    """What of the prompt travels as arrays, beside its `prompt_fields`."""
    arrays: Arrays = {}
    for index, given in prompt.slices.items():
        arrays |= slice_prompt_parts(_slice_prompt_name(index), given)[1]
    return arrays


def _slice_prompt_name(index: int) -> str:
    return f"slice_prompt_{int(index)}"


def prompt_fields(prompt: StackPrompt) -> Fields:
    named = [(_slice_prompt_name(index), given) for index, given in prompt.slices.items()]
    return {
        **{name: fields for part, given in named for name, fields in slice_prompt_parts(part, given)[0].items()},
        "prompt": {
            "slices": [int(index) for index in prompt.slices],
            "slice_range": None if prompt.slice_range is None else [int(index) for index in prompt.slice_range],
            **box_fields("box3d", prompt.box3d),
        },
    }


def read_prompt(message: Message) -> StackPrompt:
    prompt = message.part("prompt")
    listed = prompt.fields.get("slices")
    if not isinstance(listed, list) or not listed:
        raise WorkerError(f"message '{message.kind}' holds no list of key slices")
    slices = {
        index: read_slice_prompt(message, _slice_prompt_name(index)) for index in prompt.integers("slices", len(listed))
    }
    slice_range = None
    if prompt.fields.get("slice_range") is not None:
        first, last = prompt.integers("slice_range", 2)
        slice_range = (first, last)
    return StackPrompt(slices, slice_range, read_optional_box(prompt, "box3d"))


def image_arrays(image: np.ndarray) -> Arrays:
    """A uint8 (rows, columns) slice. Raises WorkerError if it is something else."""
    if image.dtype != np.uint8 or image.ndim != 2:
        raise WorkerError(f"a slice is {image.dtype} {image.shape}: the inference process takes uint8 (rows, columns)")
    return {"image": image}


def read_image(message: Message) -> np.ndarray:
    return message.array("image", "uint8", 2)


def mask_parts(mask: np.ndarray) -> tuple[Fields, Arrays]:
    """A bool (rows, columns) mask: cropped to what is true in it, eight pixels to a byte."""
    box = Box.from_mask(mask)
    if box is None:
        nowhere = {"mask_shape": list(mask.shape), "mask_rows": [0, 0], "mask_columns": [0, 0]}
        return nowhere, {"mask": np.zeros(0, np.uint8)}
    rows, columns = (int(box.y0), int(box.y1) + 1), (int(box.x0), int(box.x1) + 1)
    placed = {"mask_shape": list(mask.shape), "mask_rows": list(rows), "mask_columns": list(columns)}
    return placed, {"mask": np.packbits(mask[slice(*rows), slice(*columns)])}


def read_mask(message: Message) -> np.ndarray:
    """The bool (rows, columns) mask, as it was before `mask_parts`."""
    shape = message.integers("mask_shape", 2)
    rows, columns = message.integers("mask_rows", 2), message.integers("mask_columns", 2)
    packed = message.array("mask", "uint8", 1)
    inside = all(0 <= start <= stop <= size for (start, stop), size in zip((rows, columns), shape, strict=True))
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    if not inside or shape[0] * shape[1] > MAX_PAYLOAD_BYTES or packed.size != (height * width + 7) // 8:
        raise WorkerError(f"message '{message.kind}' holds a mask that does not fit its own size")
    mask = np.zeros(shape, dtype=bool)
    pixels = np.unpackbits(packed, count=height * width).reshape(height, width)
    mask[slice(*rows), slice(*columns)] = pixels.astype(bool)
    return mask


def prediction_parts(prediction: Prediction) -> tuple[Fields, Arrays]:
    placed, arrays = mask_parts(prediction.mask)
    placed["predicted_iou"] = _or_null(prediction.predicted_iou)
    return placed, {**arrays, "logits": np.asarray(prediction.low_res_logits, np.float32)}


def read_prediction(message: Message) -> Prediction:
    return Prediction(read_mask(message), message.number("predicted_iou"), message.array("logits", "float32", 2))


def result_parts(result: SliceResult) -> tuple[Fields, Arrays]:
    placed, arrays = mask_parts(result.mask)
    described = {
        **placed,
        "index": int(result.index),
        **box_fields("box", result.box),
        "predicted_iou": _or_null(result.predicted_iou),
        "confidence": _or_null(result.confidence),
        "needs_review": bool(result.needs_review),
        "key": bool(result.key),
        "interpolated": bool(result.interpolated),
    }
    if result.low_res_logits is not None:
        arrays["logits"] = np.asarray(result.low_res_logits, np.float32)
    return described, arrays


def read_result(message: Message) -> SliceResult:
    return SliceResult(
        index=message.integer("index"),
        mask=read_mask(message),
        box=read_optional_box(message, "box"),
        predicted_iou=message.number("predicted_iou"),
        confidence=message.number("confidence"),
        needs_review=message.flag("needs_review"),
        key=message.flag("key"),
        interpolated=message.flag("interpolated"),
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
        loaded = LoadedModel(part.text("model"), part.text("weights_sha256"), part.text("device"), part.text("runtime"))
    spent = message.part("timings")
    timings = Timings()
    for entry in fields(Timings):
        whole = isinstance(entry.default, int)
        setattr(timings, entry.name, spent.integer(entry.name) if whole else spent.number(entry.name))
    notes = message.fields.get("notes")
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise WorkerError(f"message '{message.kind}' holds no list of notes")
    return RunInfo(loaded, timings, notes)


def error_fields(error: MedSAMError) -> Fields:
    """Kind of the error (its nearest class that both processes know) and its message in one line, in English."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    return {"error": kind, "message": one_line(str(error))}


def read_error(message: Message) -> MedSAMError:
    return _ERRORS.get(message.text("error"), WorkerError)(one_line(message.text("message")))


def _plain(value: Any) -> int | float:
    """A number as JSON takes it, whole numbers kept whole; numpy's scalars are no JSON."""
    return int(value) if isinstance(value, (int, np.integer)) else float(value)


def _or_null(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
