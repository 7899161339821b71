"""What the inference process says in English is read in the user's language, where there is a translation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from MedSAMSlicerLib.engine import i18n
from MedSAMSlicerLib.engine.errors import InputError, MedSAMError, WeightsError, as_user_error
from MedSAMSlicerLib.engine.i18n import tr as _
from MedSAMSlicerLib.engine.model_choice import RunInfo
from MedSAMSlicerLib.engine.models.catalogue import check_kinds
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.serving import codec
from MedSAMSlicerLib.engine.serving.framing import Message
from MedSAMSlicerLib.engine.serving.said import heard, made_of

DICTIONARY = {
    "box {box} is turned over: give the lower edge before the upper one": "Rechteck {box} steht kopf",
    "{count} tensors are missing, too many or of another shape, such as {name}": "{count} Tensoren wie {name}",
    "{path} holds another network than {model}: {found}; {help}": "{help}; {found} in {path}, nicht {model}",
    "slice {index}, {share:.1f} %": "{share:.1f} % von Schicht {index}",
    "OpenVINO could not be used ({reason}); PyTorch is used instead, which is slower": "PyTorch statt OpenVINO: {reason}",
}


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    i18n.use(None)
    yield
    i18n.use(None)


@pytest.fixture
def asked() -> Callable[[], list[tuple[str, str]]]:
    """From its call on German is spoken; what the translator was asked is in the list."""

    def begin() -> list[tuple[str, str]]:
        questions: list[tuple[str, str]] = []

        def translate(text: str, file: str) -> str:
            questions.append((text, file))
            return DICTIONARY.get(text, text)

        i18n.use(translate)
        return questions

    return begin


def caught(action: Callable[[], object]) -> MedSAMError:
    with pytest.raises(MedSAMError) as error:
        action()
    return error.value


def sent(error: MedSAMError) -> Message:
    """The error as the other process gets it."""
    return Message("failed", json.loads(json.dumps(codec.error_fields(error))))


def test_an_error_is_said_in_english_and_read_in_german(asked: Callable[[], list[tuple[str, str]]]) -> None:
    error = caught(lambda: Box(3, 0, 1.5, 4))
    message = sent(error)
    assert message.text("message") == str(error) and str(error).startswith("box (3, 0, 1.5, 4) is turned over")
    questions = asked()
    read = codec.read_error(message)
    assert type(read) is InputError and str(read) == "Rechteck (3, 0, 1.5, 4) steht kopf"
    assert Path(questions[0][1]).parts[-2:] == ("engine", "prompts.py"), "the context of a translation is its file"
    assert Path(questions[0][1]).is_file()


def test_a_part_of_a_text_is_translated_too(tmp_path: Path, asked: Callable[[], Any]) -> None:
    found = _("{count} tensors are missing, too many or of another shape, such as {name}").format(count=2, name="a")
    text = _("{path} holds another network than {model}: {found}; {help}")
    path = tmp_path / "a.pth"
    message = sent(WeightsError(text.format(path=path, model="MedSAM", found=found, help="import it")))
    asked()
    read = codec.read_error(message)
    assert type(read) is WeightsError and str(read) == f"import it; 2 Tensoren wie a in {path}, nicht MedSAM"


def test_what_nobody_has_translated_is_read_in_english(asked: Callable[[], Any]) -> None:
    error = caught(lambda: check_kinds({"points"}, "MedSAM", {"box"}))
    message, memory = sent(error), sent(as_user_error(MemoryError()))
    asked()
    assert str(codec.read_error(message)) == str(error)
    assert "ran out of memory" in str(codec.read_error(memory))


def test_numbers_are_written_as_the_translation_wants_them(asked: Callable[[], Any]) -> None:
    text = _("slice {index}, {share:.1f} %").format(index=np.int64(4), share=np.float64(2 / 3))
    assert text == "slice 4, 0.7 %"
    # A template is of a file of the package; this test stands for one.
    parts = json.loads(json.dumps(made_of(text)))
    asked()
    assert heard(text, parts) == "0.7 % von Schicht 4"


def test_notes_are_read_in_german_and_plain_ones_as_they_are(asked: Callable[[], Any]) -> None:
    note = _("OpenVINO could not be used ({reason}); PyTorch is used instead, which is slower").format(reason="no AVX")
    message = Message("finished", json.loads(json.dumps(codec.info_fields(RunInfo(notes=[note, "loaded"])))))
    asked()
    assert codec.read_info(message).notes == ["PyTorch statt OpenVINO: no AVX", "loaded"]


def test_a_process_that_says_nothing_of_that_is_understood(asked: Callable[[], Any]) -> None:
    asked()
    assert str(codec.read_error(Message("failed", {"error": "InputError", "message": "no box"}))) == "no box"
    fields = {name: value for name, value in codec.info_fields(RunInfo(notes=["a"])).items() if name != "notes_made_of"}
    assert codec.read_info(Message("finished", fields)).notes == ["a"]


@pytest.mark.parametrize(
    "parts",
    [
        None,
        17,
        [],
        {"template": 3, "file": "x.py"},
        {"template": "slice {index}, {share:.1f} %", "file": "x.py", "values": {"index": 1}},
        {"template": "slice {index}, {share:.1f} %", "file": "x.py", "values": {"index": 1, "share": "much"}},
        {"template": "slice {index}, {share:.1f} %", "file": "x.py", "values": [1, 2]},
        {"template": "slice {index}, {share:.1f} %", "file": "x.py", "values": {"index": {}, "share": {}}},
        {"template": "{a:>999999999}", "file": "x.py", "values": {"a": ""}},
    ],
)
def test_rubbish_beside_a_text_leaves_the_text(parts: object, asked: Callable[[], Any]) -> None:
    asked()
    assert heard("slice 1, 0.5 %", parts) == "slice 1, 0.5 %"


def test_what_cannot_travel_is_left_out() -> None:
    assert made_of("plain") is None
    assert made_of(_("{a}").format(a=float("nan"))) is None
    assert made_of(_("{a}").format(a="x" * 10_000)) is None
    assert made_of(_("{} {a}").format(1, a=2)) is None, "its values have no names"
