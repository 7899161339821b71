"""Messages and the objects in them are decoded as they were encoded; other bytes are refused."""

from __future__ import annotations

import io
import json
import math
import struct
from dataclasses import replace

import numpy as np
import pytest

from MedSAMSlicerLib.engine.errors import Cancelled, InputError, MedSAMError, WeightsError, WorkerError
from MedSAMSlicerLib.engine.model_choice import LoadedModel, ModelChoice, RunInfo, Timings
from MedSAMSlicerLib.engine.prompts import Box, KeyMask, MaskPrompt, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.serving import codec, framing
from MedSAMSlicerLib.engine.serving.framing import Message, MessageReader, encode, read_messages


def framed(header: object, payload: bytes = b"") -> bytes:
    """A message with any header and payload."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return b"MSW2" + struct.pack("<II", len(text), len(payload)) + text + payload


def with_array(data: bytes) -> bytes:
    """A message with an array "image" of these bytes."""
    return framed({"kind": "slice", "fields": {}, "arrays": ["image"]}, data)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def sent_and_received(message: Message) -> Message:
    [received] = MessageReader().feed(encode(message))
    return received


@pytest.fixture
def slice_message() -> Message:
    rng = np.random.default_rng(0)
    return Message(
        "slice",
        {"job": 7, "index": -1, "name": "Rückenmark", "spacing": [0.1, 3, 1e-9], "none": None, "flag": True},
        {
            "image": rng.integers(0, 256, (5, 7), dtype=np.uint8).T,
            "logits": rng.normal(size=(2, 3, 4)).astype(">f4"),
            "empty": np.zeros((0, 9), np.uint8),
        },
    )


def assert_same(received: Message, sent: Message) -> None:
    assert received.kind == sent.kind
    assert received.fields == sent.fields
    assert list(received.arrays) == list(sent.arrays)
    for name, array in sent.arrays.items():
        assert received.arrays[name].shape == array.shape
        assert received.arrays[name].dtype.name == array.dtype.name
        np.testing.assert_array_equal(received.arrays[name], array)


def test_a_message_arrives_as_it_was_sent(slice_message: Message) -> None:
    assert_same(sent_and_received(slice_message), slice_message)


def test_a_blocking_stream_gives_message_after_message_until_it_ends(slice_message: Message) -> None:
    stream = io.BufferedReader(io.BytesIO(encode(slice_message) + encode(Message("cancel", {"job": 1}))))  # type: ignore[arg-type]
    first, second = read_messages(stream)
    assert_same(first, slice_message)
    assert (second.kind, second.fields) == ("cancel", {"job": 1})


@pytest.mark.parametrize("piece", [1, 3, 8, 64, 1 << 20])
def test_messages_may_arrive_in_pieces_of_any_size(slice_message: Message, piece: int) -> None:
    data = encode(slice_message) + encode(Message("hello", {"version": 1})) + encode(slice_message)
    reader, received = MessageReader(), []
    for start in range(0, len(data), piece):
        received += reader.feed(data[start : start + piece])
    assert [message.kind for message in received] == ["slice", "hello", "slice"]
    assert_same(received[0], slice_message)
    assert_same(received[2], slice_message)


def test_a_stray_print_is_recognised_at_its_first_bytes_and_shown() -> None:
    with pytest.raises(WorkerError, match="Downloading model"):
        MessageReader().feed(b"Downloading model: 42%\n")


@pytest.mark.parametrize(
    "invalid",
    [
        pytest.param(b"M\n", id="begins like a message"),
        pytest.param(b"MSW2" + struct.pack("<II", framing.MAX_HEADER_BYTES + 1, 0), id="header too long"),
        pytest.param(b"MSW2" + struct.pack("<II", 20, 2 * framing.MAX_ARRAY_BYTES), id="payload too long"),
        pytest.param(framed(b"{"), id="not JSON"),
        pytest.param(framed(b"\xff\xfe"), id="not UTF-8"),
        pytest.param(framed(b"[" * 200_000), id="nested too deeply"),
        pytest.param(framed([1, 2]), id="header is a list"),
        pytest.param(framed({"kind": "slice", "fields": {}}), id="arrays missing"),
        pytest.param(framed({"kind": "slice", "fields": 3, "arrays": []}), id="fields are a number"),
        pytest.param(with_array(npy(np.array([print, 3], object))), id="pickled array"),
        pytest.param(with_array(npy(np.zeros(9))[:-1]), id="array cut off"),
        pytest.param(with_array(b""), id="array missing"),
        pytest.param(
            with_array(npy(np.zeros(9)).replace(b"(9,), }" + b" " * 18, b"(9" + b"0" * 18 + b",), }")),
            id="array too large",
        ),
    ],
)
def test_bytes_that_are_no_message_are_refused_in_one_line(invalid: bytes) -> None:
    with pytest.raises(WorkerError) as raised:
        MessageReader().feed(invalid)
    assert str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(WorkerError):
        list(read_messages(io.BufferedReader(io.BytesIO(invalid))))  # type: ignore[arg-type]


def test_a_stream_that_ends_inside_a_message_is_no_clean_end(slice_message: Message) -> None:
    data = encode(slice_message)
    for length in range(1, len(data)):
        with pytest.raises(WorkerError):
            list(read_messages(io.BufferedReader(io.BytesIO(data[:length]))))  # type: ignore[arg-type]


def test_damaged_bytes_are_refused_or_decoded_to_another_message(slice_message: Message) -> None:
    data, rng = encode(slice_message), np.random.default_rng(1)
    outcomes = set()
    for _ in range(2000):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] = rng.integers(256)
        try:
            outcomes.add(len(MessageReader().feed(bytes(damaged))))
        except WorkerError:
            outcomes.add(-1)
    assert outcomes <= {-1, 0, 1} and -1 in outcomes and 1 in outcomes


@pytest.mark.parametrize(
    "message",
    [
        Message("a", arrays={"x": np.array([object()])}),
        Message("a", {"x": math.nan}),
        Message("a", {"x": np.float32(1)}),
        Message("a", {"x": "y" * framing.MAX_HEADER_BYTES}),
        Message("a", arrays={"x": np.broadcast_to(np.uint8(0), framing.MAX_ARRAY_BYTES + 1)}),
    ],
)
def test_a_message_that_cannot_be_encoded_is_refused(message: Message) -> None:
    with pytest.raises(WorkerError):
        encode(message)


@pytest.mark.parametrize("name", ["missing", "text", "nothing", "flag", "fraction", "list"])
def test_a_field_of_another_type_is_refused(name: str) -> None:
    fields = {"text": "5", "nothing": None, "flag": True, "fraction": 1.5, "list": [1, 2]}
    message = Message("test", fields)
    with pytest.raises(WorkerError, match="'test'"):
        message.integer(name)
    with pytest.raises(WorkerError):
        message.integers(name, 3)
    with pytest.raises(WorkerError):
        message.numbers(name, 3)
    with pytest.raises(WorkerError):
        message.part(name)
    with pytest.raises(WorkerError):
        message.array(name, "uint8", 2)


# Prompts, results and errors


@pytest.mark.parametrize(
    "prompt",
    [
        StackPrompt({4: Box(1, 2, 3, 4)}),
        StackPrompt({9: Box(0.25, 1 / 3, 7.5, 8), 2: Box(0, 0, 0, 0)}, (1, 30), Box(0, 0, 40.5, 50)),
        StackPrompt.from_box3d(3, 8, Box(1, 2, 3, 4)),
    ],
)
def test_a_prompt_is_decoded_as_it_was_encoded(prompt: StackPrompt) -> None:
    assert codec.read_stack_prompt(sent_and_received(Message("segment", *codec.stack_prompt_parts(prompt)))) == prompt


def test_a_prompt_of_numpy_numbers_can_be_encoded() -> None:
    prompt = StackPrompt({np.int64(4): Box(np.float32(1), np.int32(2), np.float64(3), 4)}, (np.int64(0), np.int64(9)))
    assert codec.read_stack_prompt(sent_and_received(Message("segment", *codec.stack_prompt_parts(prompt)))) == prompt


@pytest.mark.parametrize("slices", [None, [], [[]], [1.5], ["1"], [4, 5]])
def test_a_prompt_without_valid_key_slices_is_refused(slices: object) -> None:
    fields, _ = codec.stack_prompt_parts(StackPrompt({4: Box(1, 2, 3, 4)}))
    with pytest.raises(MedSAMError):
        codec.read_stack_prompt(Message("segment", {**fields, "prompt": {**fields["prompt"], "slices": slices}}))


@pytest.mark.parametrize("choice", [ModelChoice(), ModelChoice("medsam", "/weights/ä b.pth", "cuda", "openvino")])
def test_a_choice_of_model_is_decoded_as_it_was_encoded(choice: ModelChoice) -> None:
    assert codec.read_choice(sent_and_received(Message("load", codec.choice_fields(choice)))) == choice


def test_masks_of_any_place_and_size_are_decoded_as_they_were_encoded() -> None:
    rng = np.random.default_rng(2)
    for rows, columns in [(1, 1), (1, 40), (40, 1), (13, 17), (64, 64)]:
        for share in (0.0, 0.02, 0.5, 1.0):
            mask = rng.random((rows, columns)) < share
            mask[: rows // 3] = False
            fields, arrays = codec.mask_parts(mask)
            received = codec.read_mask(sent_and_received(Message("mask", fields, arrays)))
            assert received.dtype == bool
            np.testing.assert_array_equal(received, mask)


def test_a_small_object_on_a_large_slice_takes_few_bytes() -> None:
    mask = np.zeros((4096, 4096), bool)
    mask[2000:2100, 3000:3080] = True
    assert len(encode(Message("mask", *codec.mask_parts(mask)))) < 100 * 80 / 8 + 300


@pytest.mark.parametrize(
    "damage",
    [
        {"mask_rows": [3, 2]},
        {"mask_rows": [-1, 2]},
        {"mask_rows": [0, 7]},
        {"mask_columns": [0, 9]},
        {"mask_shape": [6, 3]},
        {"mask_shape": [1 << 40, 1 << 40]},
        {"mask_shape": [6]},
    ],
)
def test_a_mask_that_does_not_fit_its_size_is_refused(damage: dict[str, object]) -> None:
    fields, arrays = codec.mask_parts(np.ones((6, 8), bool))
    with pytest.raises(WorkerError):
        codec.read_mask(Message("mask", {**fields, **damage}, arrays))


@pytest.mark.parametrize(
    "result",
    [
        SliceResult(3, np.eye(9, 7, dtype=bool), Box(0, 0.5, 3, 4), 0.1 + 0.2, 1 / 3, True, True),
        SliceResult(0, np.zeros((2, 3), bool), None, -0.02, 0.0, False, interpolated=True),
        SliceResult(1, np.ones((2, 3), bool), None, 0.5, 0.7, False, provisional=True),
    ],
)
def test_a_slice_result_is_decoded_to_the_last_bit(result: SliceResult) -> None:
    received = codec.read_result(sent_and_received(Message("slice_result", *codec.result_parts(result))))
    np.testing.assert_array_equal(received.mask, result.mask)
    for name in ("index", "box", "predicted_iou", "confidence", "needs_review", "key", "interpolated", "provisional"):
        assert getattr(received, name) == getattr(result, name)


def test_a_predicted_iou_of_nan_stays_nan() -> None:
    result = SliceResult(0, np.zeros((2, 3), bool), None, math.nan, 0.0, False)
    received = codec.read_result(sent_and_received(Message("slice_result", *codec.result_parts(result))))
    assert math.isnan(received.predicted_iou)


def test_a_prediction_is_decoded_as_it_was_encoded() -> None:
    logits = np.random.default_rng(4).normal(size=(8, 8)).astype(np.float32)
    sent = Prediction(np.eye(5, dtype=bool), np.float32(0.87), logits)
    received = codec.read_prediction(sent_and_received(Message("prediction", *codec.prediction_parts(sent))))
    np.testing.assert_array_equal(received.mask, sent.mask)
    np.testing.assert_array_equal(received.low_res_logits, logits)
    assert received.predicted_iou == float(sent.predicted_iou)


@pytest.mark.parametrize(
    "info",
    [
        RunInfo(),
        RunInfo(LoadedModel("medsam", "ab" * 32, "cuda", "torch"), Timings(1.5, 0.1, 1 / 3, 4, 5), ["slow", "ä"]),
    ],
)
def test_run_info_is_decoded_as_it_was_encoded(info: RunInfo) -> None:
    assert codec.read_info(sent_and_received(Message("finished", codec.info_fields(info)))) == info


class UnknownModelError(InputError):
    """An error class that the receiver does not know."""


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (InputError("box (1, 2) lies outside: move it"), InputError),
        (WeightsError("file is missing: import it"), WeightsError),
        (WorkerError("two\nlines"), WorkerError),
        (Cancelled("cancelled"), Cancelled),
        (UnknownModelError("model 'x' is unknown: choose y"), InputError),
    ],
)
def test_an_error_keeps_its_class_exit_status_and_message(sent: MedSAMError, kind: type[MedSAMError]) -> None:
    received = codec.read_error(sent_and_received(Message("failed", codec.error_fields(sent))))
    assert type(received) is kind
    assert received.exit_status == sent.exit_status
    assert str(received) == str(sent).replace("\n", " ")


def assert_same_prompts(one: SlicePrompt, other: SlicePrompt) -> None:
    assert (one.box, one.points, one.kinds) == (other.box, other.points, other.kinds)
    if one.mask is not None and other.mask is not None:
        np.testing.assert_equal((one.mask.logits, one.mask.mask), (other.mask.logits, other.mask.mask))


@pytest.mark.parametrize(
    "prompt",
    [
        SlicePrompt(box=Box(1.5, 2, 30, 40)),
        SlicePrompt(points=Points(((3, 4.25), (np.float32(7.5), np.int64(9))), (True, np.bool_(False)))),
        SlicePrompt(Box(0, 0, 4, 5), Points(((2, 2),), (False,)), MaskPrompt(mask=np.eye(6, 5, dtype=bool))),
        SlicePrompt(mask=MaskPrompt(logits=np.linspace(-9, 9, 64 * 64, dtype=np.float32).reshape(64, 64))),
    ],
)
def test_a_slice_prompt_is_decoded_as_it_was_encoded(prompt: SlicePrompt) -> None:
    sent = Message("preview", *codec.slice_prompt_parts("prompt", prompt))
    assert_same_prompts(codec.read_slice_prompt(sent_and_received(sent), "prompt"), prompt)


def test_a_stack_prompt_is_decoded_with_its_points_and_masks() -> None:
    logits = np.ones((4, 4), np.float32)
    given = {
        5: SlicePrompt(Box(1, 2, 3, 4)),
        9: SlicePrompt(mask=MaskPrompt(mask=np.eye(6, 5, dtype=bool))),
        3: SlicePrompt(Box(0, 0, 4, 5), Points(((2, 2),), (True,)), MaskPrompt(logits=logits)),
    }
    prompt = StackPrompt(given, (2, 10), Box(0, 0, 4, 5))
    received = codec.read_stack_prompt(sent_and_received(Message("segment", *codec.stack_prompt_parts(prompt))))
    assert (received.slice_range, received.box3d) == (prompt.slice_range, prompt.box3d)
    assert list(received.slices) == [3, 5, 9]
    for index, one in given.items():
        assert_same_prompts(received.slices[index], one)


@pytest.mark.parametrize("points", [3, [[1, 2]], [[1, 2, "left"]], "", [[1, 2, 1], None]])
def test_invalid_points_are_refused(points: object) -> None:
    with pytest.raises(WorkerError):
        codec.read_slice_prompt(Message("preview", {"prompt": {"box": None, "points": points}}), "prompt")


def test_a_result_may_carry_its_logits() -> None:
    logits = np.linspace(-3, 3, 16, dtype=np.float32).reshape(4, 4)
    sent = SliceResult(3, np.eye(5, dtype=bool), Box(0, 0, 4, 4), 0.5, 0.5, False, low_res_logits=logits)
    received = codec.read_result(sent_and_received(Message("slice_result", *codec.result_parts(sent))))
    np.testing.assert_array_equal(received.low_res_logits, logits)
    bare = codec.read_result(
        sent_and_received(Message("slice_result", *codec.result_parts(replace(sent, low_res_logits=None))))
    )
    assert bare.low_res_logits is None


def test_a_slice_is_grey_or_red_green_and_blue() -> None:
    for shape in ((5, 7), (5, 7, 3)):
        image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        received = codec.read_image(sent_and_received(Message("slice", {}, codec.image_arrays(image))))
        np.testing.assert_array_equal(received, image)
    for wrong in (np.zeros((5, 7, 4), np.uint8), np.zeros((5, 7, 3), np.float32), np.zeros((1, 5, 7, 3), np.uint8)):
        with pytest.raises(WorkerError, match="uint8"):
            codec.image_arrays(wrong)
        with pytest.raises(WorkerError, match="in place of the .D uint8 array"):
            codec.read_image(Message("slice", {}, {"image": wrong}))


def test_key_masks_are_decoded_bit_for_bit_and_need_little_room() -> None:
    mask = np.zeros((512, 512), bool)
    mask[100:181, 50:173] = np.random.default_rng(5).random((81, 123)) > 0.5
    empty = np.zeros((512, 512), bool)
    slices = {4: SlicePrompt(key_mask=KeyMask(mask)), 7: SlicePrompt(key_mask=KeyMask(empty)), 9: Box(1, 2, 3, 4)}
    message = Message("segment", *codec.stack_prompt_parts(StackPrompt(slices, (1, 12))))
    assert sum(array.nbytes for array in message.arrays.values()) < 2000
    found = codec.read_stack_prompt(sent_and_received(message))
    assert np.array_equal(found.key_masks[4], mask) and np.array_equal(found.key_masks[7], empty)
    assert found.slices[9] == SlicePrompt(Box(1, 2, 3, 4)) and found.slice_range == (1, 12)
