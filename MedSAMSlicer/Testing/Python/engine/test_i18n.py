"""Texts of the engine and the scene layer are translated if a translator is set, and are English otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from MedSAMSlicerLib.engine import i18n
from MedSAMSlicerLib.engine.errors import as_user_error
from MedSAMSlicerLib.engine.i18n import tr as _

ERRORS = {"InputError", "WorkerError", "WeightsError", "WriteError", "PackageError", "MedSAMError", "Cancelled"}


@pytest.fixture(autouse=True)
def _untranslated() -> Iterator[None]:
    i18n.set_translator(None)
    yield
    i18n.set_translator(None)


def test_without_a_translator_texts_stay_as_they_are() -> None:
    assert _("slice {index}").format(index=3) == "slice 3"


def test_a_translator_gets_the_text_before_it_is_formatted() -> None:
    i18n.set_translator(lambda text: text.replace("slice", "Schicht").replace("ran out of memory", "hat zu wenig"))
    assert _("slice {index}").format(index=3) == "Schicht 3"
    assert "hat zu wenig" in str(as_user_error(MemoryError()))


def untranslatable(source: str) -> list[int]:
    """Lines where an error for users is made of a text that nobody can translate."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS
        for text in node.args
        if isinstance(text, ast.Constant)
        or (isinstance(text, ast.JoinedStr) and any(isinstance(part, ast.Constant) and any(map(str.isalpha, str(part.value))) for part in text.values))
    ]  # fmt: skip


# What runs in the inference process and in jobs, and what two processes send each other.
ENGLISH = (
    *(f"engine/{folder}/" for folder in ("runtimes", "inference", "propagation", "jobs")),
    *(f"engine/models/{file}.py" for file in ("adapter", "checkpoints", "downloads", "model_files", "sam", "weights")),
    *(f"engine/serving/{file}.py" for file in ("framing", "codec", "worker")),
)


@pytest.mark.parametrize("folder", ["engine", "scene", "effect", "panel"])
def test_every_error_of_the_main_process_can_be_translated(repository: Path, folder: str) -> None:
    library = repository / "MedSAMSlicer" / "MedSAMSlicerLib"
    found = sorted((library / folder).rglob("*.py"))
    files = [file for file in found if not file.relative_to(library).as_posix().startswith(ENGLISH)]
    assert files
    assert [(file.name, untranslatable(file.read_text(encoding="utf-8"))) for file in files] == [
        (file.name, []) for file in files
    ]


def test_a_text_that_nobody_can_translate_is_found() -> None:
    source = (
        "raise InputError('no volume')\nraise InputError(f'{a} is gone')\nraise InputError(_('x {a}').format(a=1))\n"
    )
    assert untranslatable(source) == [1, 2]
