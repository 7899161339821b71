"""The module file as Slicer loads it: light to import, its texts translatable, its panel honest."""

from __future__ import annotations

import ast
import gzip
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import MedSAMSlicerLib

MAY_BE_IMPORTED = {"slicer", "vtk", "qt", "ctk", "SimpleITK", "numpy", "scipy", "MedSAMSlicerLib"}


class Layout:
    def __init__(self) -> None:
        self.widgets: list[SimpleNamespace] = []
        self.stretches = 0

    def addWidget(self, widget: SimpleNamespace) -> None:
        self.widgets.append(widget)

    def addStretch(self, factor: int) -> None:
        self.stretches += 1


class ModuleBase:
    def __init__(self, parent: SimpleNamespace) -> None:
        self.parent = parent


class WidgetBase:
    def __init__(self) -> None:
        self.layout = Layout()

    def setup(self) -> None:
        self.base_was_set_up = True


@pytest.fixture
def loaded(repository: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The module file, imported where Slicer's own modules are stood in for; `translated`: texts that went through `_`."""
    translated: list[str] = []

    def tr(text: str) -> str:
        translated.append(text)
        return text

    stand_ins = {
        "qt": {"QLabel": lambda text: SimpleNamespace(text=text)},
        "slicer": {},
        "slicer.i18n": {"tr": tr, "translate": lambda context, text: f"{context}/{text}"},
        "slicer.ScriptedLoadableModule": {
            "ScriptedLoadableModule": ModuleBase,
            "ScriptedLoadableModuleWidget": WidgetBase,
            "ScriptedLoadableModuleTest": object,
        },
    }
    for name, content in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("module_file", repository / "MedSAMSlicer" / "MedSAMSlicer.py")
    assert spec is not None
    assert spec.loader is not None
    file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(file)
    return SimpleNamespace(file=file, translated=translated)


def test_only_what_slicer_has_is_imported_at_file_scope(repository: Path) -> None:
    tree = ast.parse((repository / "MedSAMSlicer" / "MedSAMSlicer.py").read_text(encoding="utf-8"))
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= MAY_BE_IMPORTED | sys.stdlib_module_names


def test_slicer_lists_the_module_under_segmentation(loaded: SimpleNamespace) -> None:
    parent = SimpleNamespace()
    loaded.file.MedSAMSlicer(parent)
    assert parent.title == "MedSAMSlicer"
    assert parent.categories == ["qSlicerAbstractCoreModule/Segmentation"]
    assert parent.contributors == ["MedSAMSlicer maintainers"]
    assert "not a medical device" in parent.helpText
    assert "{" not in parent.helpText
    assert "MedSAM" in parent.acknowledgementText


def test_panel_shows_the_version_and_the_first_steps(loaded: SimpleNamespace) -> None:
    widget = loaded.file.MedSAMSlicerWidget()
    widget.setup()
    assert widget.base_was_set_up
    (label,) = widget.layout.widgets
    assert MedSAMSlicerLib.__version__ in label.text
    assert "medsam-slicer segment IMAGE --roi" in label.text
    assert "{" not in label.text
    assert label.wordWrap
    assert widget.layout.stretches == 1


def test_every_text_of_the_panel_can_be_translated(loaded: SimpleNamespace) -> None:
    loaded.file.MedSAMSlicer(SimpleNamespace())
    shown = loaded.file.getting_started()
    assert any(
        text.format(version=MedSAMSlicerLib.__version__, homepage=loaded.file.HOMEPAGE) == shown
        for text in loaded.translated
    )
    assert len(loaded.translated) == 4


def test_slicer_finds_its_classes_by_name(loaded: SimpleNamespace) -> None:
    for suffix in ("", "Widget", "Test"):
        assert isinstance(getattr(loaded.file, f"MedSAMSlicer{suffix}"), type)


def test_what_is_set_on_the_label_exists_in_a_running_slicer(shared_dir: Path, loaded: SimpleNamespace) -> None:
    with gzip.open(shared_dir / "slicer_runtime.json.gz") as file:
        label = json.load(file)["qt"]["QLabel"]
    widget = loaded.file.MedSAMSlicerWidget()
    widget.setup()
    assert set(vars(widget.layout.widgets[0])) <= set(label["other"])
