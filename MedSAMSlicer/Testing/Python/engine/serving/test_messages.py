"""Messages: what goes in comes out, in whatever pieces it travels, and nothing else does."""

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
from MedSAMSlicerLib.engine.prompts import Box, MaskPrompt, Points, SlicePrompt, StackPrompt
from MedSAMSlicerLib.engine.results import Prediction, SliceResult
from MedSAMSlicerLib.engine.serving import codec, framing
from MedSAMSlicerLib.engine.serving.framing import Message, MessageReader, encode, read_message


def framed(header: object, payload: bytes = b"") -> bytes:
    """A message with this header, whatever it is."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return b"MSW1" + struct.pack("<I", len(text)) + text + payload


def with_array(**described: object) -> dict[str, object]:
    array = {"name": "image", "dtype": "uint8", "shape": [2, 3], **described}
    return {"kind": "slice", "fields": {}, "arrays": [array]}


def there_and_back(message: Message) -> Message:
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
    assert_same(there_and_back(slice_message), slice_message)


def test_a_blocking_stream_gives_message_after_message_until_it_ends(slice_message: Message) -> None:
    stream = io.BytesIO(encode(slice_message) + encode(Message("cancel", {"job": 1})))
    first, second = read_message(stream), read_message(stream)
    assert first is not None and second is not None
    assert_same(first, slice_message)
    assert (second.kind, second.fields) == ("cancel", {"job": 1})
    assert read_message(stream) is None


@pytest.mark.parametrize("piece", [1, 3, 8, 64, 1 << 20])
def test_messages_may_arrive_in_pieces_of_any_size(slice_message: Message, piece: int) -> None:
    data = encode(slice_message) + encode(Message("hello", {"version": 1})) + encode(slice_message)
    reader, received = MessageReader(), []
    for start in range(0, len(data), piece):
        received += reader.feed(data[start : start + piece])
    assert [message.kind for message in received] == ["slice", "hello", "slice"]
    assert_same(received[0], slice_message)
    assert_same(received[2], slice_message)


def test_what_was_received_cannot_be_written_to(slice_message: Message) -> None:
    with pytest.raises(ValueError, match="read-only"):
        there_and_back(slice_message).arrays["image"][0, 0] = 1


def test_a_stray_print_is_recognised_at_its_first_bytes_and_shown() -> None:
    with pytest.raises(WorkerError, match="Downloading model"):
        MessageReader().feed(b"Downloading model: 42%\n")


@pytest.mark.parametrize(
    "rubbish",
    [
        pytest.param(b"M\n", id="begins like a message"),
        pytest.param(b"MSW1" + struct.pack("<I", framing.MAX_HEADER_BYTES + 1), id="header too long"),
        pytest.param(framed(b"{"), id="no JSON"),
        pytest.param(framed(b"\xff\xfe"), id="no UTF-8"),
        pytest.param(framed(b"[" * 200_000), id="nested beyond measure"),
        pytest.param(framed(b'{"kind":"a","fields":{"x":NaN},"arrays":[]}'), id="not a number"),
        pytest.param(framed([1, 2]), id="header is a list"),
        pytest.param(framed({"kind": "slice", "fields": {}}), id="no arrays"),
        pytest.param(framed({"kind": 3, "fields": {}, "arrays": []}), id="kind is a number"),
        pytest.param(framed({"kind": "slice", "fields": {}, "arrays": [], "more": 1}), id="more than there is"),
        pytest.param(framed(with_array(dtype="object")), id="dtype object"),
        pytest.param(framed(with_array(dtype="|O")), id="dtype pickled"),
        pytest.param(framed(with_array(dtype=["uint8"])), id="dtype is a list"),
        pytest.param(framed(with_array(shape=[-1, 3])), id="negative size"),
        pytest.param(framed(with_array(shape=[2.0, 3])), id="fractional size"),
        pytest.param(framed(with_array(shape=[True, 3])), id="size is a truth value"),
        pytest.param(framed(with_array(shape=[1, 1, 1, 1])), id="four dimensions"),
        pytest.param(framed(with_array(shape=[1 << 20, 1 << 20])), id="larger than any slice"),
        pytest.param(framed(with_array(shape=[10**400])), id="size without bound"),
        pytest.param(framed({"kind": "a", "fields": {}, "arrays": with_array()["arrays"] * 2}), id="same name twice"),
    ],
)
def test_rubbish_is_refused_in_one_clear_line(rubbish: bytes) -> None:
    with pytest.raises(WorkerError) as raised:
        MessageReader().feed(rubbish)
    assert str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(WorkerError):
        read_message(io.BytesIO(rubbish))


def test_a_stream_that_ends_inside_a_message_is_no_clean_end(slice_message: Message) -> None:
    data = encode(slice_message)
    for length in range(1, len(data)):
        with pytest.raises(WorkerError):
            read_message(io.BytesIO(data[:length]))


def test_damaged_bytes_are_refused_or_read_as_another_message_but_never_do_harm(slice_message: Message) -> None:
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
        Message("a", arrays={"x": np.zeros(3, np.int64)}),
        Message("a", arrays={"x": np.array([object()])}),
        Message("a", arrays={"x": np.zeros((1, 1, 1, 1), np.uint8)}),
        Message("a", {"x": math.nan}),
        Message("a", {"x": np.float32(1)}),
        Message("a", {"x": "y" * framing.MAX_HEADER_BYTES}),
        Message("a", arrays={"x": np.broadcast_to(np.uint8(0), framing.MAX_PAYLOAD_BYTES + 1)}),
    ],
)
def test_what_cannot_travel_is_refused_before_it_is_sent(message: Message) -> None:
    with pytest.raises(WorkerError):
        encode(message)


@pytest.mark.parametrize("name", ["missing", "text", "nothing", "flag", "huge", "fraction", "list"])
def test_a_field_of_another_type_than_asked_for_is_refused(name: str) -> None:
    fields = {"text": "5", "nothing": None, "flag": True, "huge": 1 << 80, "fraction": 1.5, "list": [1, 2]}
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
def test_a_prompt_survives_the_way(prompt: StackPrompt) -> None:
    assert codec.read_prompt(there_and_back(Message("segment", codec.prompt_fields(prompt)))) == prompt


def test_a_prompt_of_numpy_numbers_travels_too() -> None:
    prompt = StackPrompt({np.int64(4): Box(np.float32(1), np.int32(2), np.float64(3), 4)}, (np.int64(0), np.int64(9)))
    assert codec.read_prompt(there_and_back(Message("segment", codec.prompt_fields(prompt)))) == prompt


@pytest.mark.parametrize(
    "keys", [None, [], [[]], [[1, 2]], [[1.5, 0, 0, 1, 1]], [["1", 0, 0, 1, 1]], [[1, 5, 5, 2, 2]]]
)
def test_a_prompt_that_is_none_is_refused(keys: object) -> None:
    with pytest.raises(MedSAMError):
        codec.read_prompt(Message("segment", {"prompt": {"keys": keys, "reach": None, "bounds": None}}))


@pytest.mark.parametrize("choice", [ModelChoice(), ModelChoice("medsam", "/weights/ä b.pth", "cuda", "openvino")])
def test_a_choice_of_model_survives_the_way(choice: ModelChoice) -> None:
    assert codec.read_choice(there_and_back(Message("load", codec.choice_fields(choice)))) == choice


def test_masks_of_every_place_and_size_survive_the_way() -> None:
    rng = np.random.default_rng(2)
    for rows, columns in [(1, 1), (1, 40), (40, 1), (13, 17), (64, 64)]:
        for share in (0.0, 0.02, 0.5, 1.0):
            mask = rng.random((rows, columns)) < share
            mask[: rows // 3] = False
            fields, arrays = codec.mask_parts(mask)
            received = codec.read_mask(there_and_back(Message("mask", fields, arrays)))
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
    ],
)
def test_a_slices_result_survives_the_way_to_the_last_bit(result: SliceResult) -> None:
    received = codec.read_result(there_and_back(Message("slice_result", *codec.result_parts(result))))
    np.testing.assert_array_equal(received.mask, result.mask)
    for name in ("index", "box", "predicted_iou", "confidence", "needs_review", "key", "interpolated"):
        assert getattr(received, name) == getattr(result, name)


def test_a_predicted_iou_that_is_no_number_stays_none() -> None:
    result = SliceResult(0, np.zeros((2, 3), bool), None, math.nan, 0.0, False)
    received = codec.read_result(there_and_back(Message("slice_result", *codec.result_parts(result))))
    assert math.isnan(received.predicted_iou)


def test_a_prediction_survives_the_way() -> None:
    logits = np.random.default_rng(4).normal(size=(8, 8)).astype(np.float32)
    sent = Prediction(np.eye(5, dtype=bool), np.float32(0.87), logits)
    received = codec.read_prediction(there_and_back(Message("prediction", *codec.prediction_parts(sent))))
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
def test_what_is_known_of_a_run_survives_the_way(info: RunInfo) -> None:
    assert codec.read_info(there_and_back(Message("finished", codec.info_fields(info)))) == info


class UnknownModelError(InputError):
    """A kind of error that only one side knows."""


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
def test_an_error_stays_what_it_was_with_its_exit_status(sent: MedSAMError, kind: type[MedSAMError]) -> None:
    received = codec.read_error(there_and_back(Message("failed", codec.error_fields(sent))))
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
def test_a_prompt_on_a_slice_comes_back_as_it_was(prompt: SlicePrompt) -> None:
    sent = Message("preview", *codec.slice_prompt_parts("prompt", prompt))
    assert_same_prompts(codec.read_slice_prompt(there_and_back(sent), "prompt"), prompt)


def test_a_prompt_for_a_stack_comes_back_with_its_points_and_masks() -> None:
    logits = np.ones((4, 4), np.float32)
    given = {
        5: SlicePrompt(Box(1, 2, 3, 4)),
        9: SlicePrompt(mask=MaskPrompt(mask=np.eye(6, 5, dtype=bool))),
        3: SlicePrompt(Box(0, 0, 4, 5), Points(((2, 2),), (True,)), MaskPrompt(logits=logits)),
    }
    prompt = StackPrompt(given, (2, 10), Box(0, 0, 4, 5))
    received = codec.read_prompt(
        there_and_back(Message("segment", codec.prompt_fields(prompt), codec.prompt_arrays(prompt)))
    )
    assert (received.slice_range, received.box3d) == (prompt.slice_range, prompt.box3d)
    assert list(received.slices) == [3, 5, 9]
    for index, one in given.items():
        assert_same_prompts(received.slices[index], one)


@pytest.mark.parametrize("points", [3, [[1, 2]], [[1, 2, "left"]], "", [[1, 2, 1], None]])
def test_points_that_make_no_sense_are_refused(points: object) -> None:
    with pytest.raises(WorkerError):
        codec.read_slice_prompt(Message("preview", {"prompt": {"box": None, "points": points}}), "prompt")


def test_a_result_may_carry_its_logits() -> None:
    logits = np.linspace(-3, 3, 16, dtype=np.float32).reshape(4, 4)
    sent = SliceResult(3, np.eye(5, dtype=bool), Box(0, 0, 4, 4), 0.5, 0.5, False, low_res_logits=logits)
    received = codec.read_result(there_and_back(Message("slice_result", *codec.result_parts(sent))))
    np.testing.assert_array_equal(received.low_res_logits, logits)
    bare = codec.read_result(
        there_and_back(Message("slice_result", *codec.result_parts(replace(sent, low_res_logits=None))))
    )
    assert bare.low_res_logits is None
