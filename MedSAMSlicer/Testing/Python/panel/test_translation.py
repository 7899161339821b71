"""Errors of the engine and the scene layer are translated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from MedSAMSlicerLib.engine import i18n
from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.engine.models.catalogue import find_model
from MedSAMSlicerLib.engine.prompts import Box

REVERSED = "box {box} is reversed: give the lower edge before the upper one"
UNKNOWN = "model {key} is unknown: choose one of {models}"


@pytest.fixture
def german(host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str], str]]:
    """Translations of the application: (context, text) -> translation."""
    from MedSAMSlicerLib.panel import translation

    known: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(translation, "translate", lambda context, text: known.get((context, text), text))
    translation.install()
    yield known
    i18n.set_translator(None)


def test_a_text_is_found_under_its_file(german: dict[tuple[str, str], str]) -> None:
    german["engine.prompts", REVERSED] = "Rechteck {box} steht kopf"
    german["models.catalogue", UNKNOWN] = "{key} gibt es nicht, nur {models}"
    with pytest.raises(InputError, match=r"^Rechteck \(3, 0, 1, 4\) steht kopf$"):
        Box(3, 0, 1, 4)
    with pytest.raises(InputError, match="^'sam3' gibt es nicht, nur litemedsam_plus, "):
        find_model("sam3")


@pytest.mark.parametrize("wrong", ["Rechteck {kasten}", "Rechteck", "Rechteck {box} {box}"])
def test_a_translation_with_other_placeholders_is_not_used(german: dict[tuple[str, str], str], wrong: str) -> None:
    german["engine.prompts", REVERSED] = wrong
    with pytest.raises(InputError, match=r"^box \(3, 0, 1, 4\) is reversed"):
        Box(3, 0, 1, 4)


def test_a_text_of_another_file_is_not_used(german: dict[tuple[str, str], str]) -> None:
    german["OtherModule", REVERSED] = "Rechteck {box} steht kopf"
    with pytest.raises(InputError, match="is reversed"):
        Box(3, 0, 1, 4)
