"""The module file as Slicer loads it: light to import, its texts translatable, its panel honest."""

from __future__ import annotations

import ast
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import slicer

import MedSAMSlicerLib
from host import slicer_python
from host.fixture import host  # noqa: F401 - a fixture

MAY_BE_IMPORTED = {"slicer", "vtk", "qt", "ctk", "SimpleITK", "numpy", "scipy", "MedSAMSlicerLib"}
HEAVY = {"torch", "torchvision", "segment_anything", "requests", "scipy", "SimpleITK", "numpy", "cachetools", "tqdm"}
MAY_BE_CLICKED = ("QPushButton", "QCheckBox", "QComboBox", "QSpinBox", "ctkDirectoryButton", "ctkCollapsibleButton")


@pytest.fixture
def module_file(repository: Path) -> Path:
    return repository / "MedSAMSlicer" / "MedSAMSlicer.py"


@pytest.fixture
def panel_file(repository: Path) -> Path:
    return repository / "MedSAMSlicer" / "Resources" / "UI" / "MedSAMSlicer.ui"


@pytest.fixture
def loaded(module_file: Path, host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811
    """The module's object in a running Slicer; settings that it puts into the environment are undone."""
    for name in ("MEDSAM_SLICER_WEIGHTS", "MEDSAM_SLICER_EMBEDDINGS_MB"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("MEDSAM_SLICER_CACHE", str(tmp_path))
    module = host.load_module(module_file)
    host.complete_startup()
    return module


def test_only_what_slicer_has_is_imported_at_file_scope(module_file: Path) -> None:
    tree = ast.parse(module_file.read_text(encoding="utf-8"))
    names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= MAY_BE_IMPORTED | sys.stdlib_module_names


STARTUP = """
import sys, types
for name, names in {
    "slicer": ("app", "util"), "slicer.i18n": ("tr", "translate"),
    "slicer.ScriptedLoadableModule": ["ScriptedLoadableModule" + part for part in ("", "Logic", "Test", "Widget")],
}.items():
    module = types.ModuleType(name)
    vars(module).update({name: type(name, (), {}) for name in names})
    sys.modules[name] = module
before = set(sys.modules)
import MedSAMSlicer
print(*(set(sys.modules) - before))
"""


def test_slicers_start_imports_the_module_and_nothing_else(module_file: Path) -> None:
    """Before the module is used: a few modules of Python's own, nothing heavy, nothing of the library."""
    finished = subprocess.run(
        [sys.executable, "-c", STARTUP], cwd=module_file.parent, capture_output=True, text=True, check=True
    )
    imported = finished.stdout.split()
    assert "MedSAMSlicer" in imported and len(imported) < 10
    assert {name.split(".")[0] for name in imported} & HEAVY == set()
    assert not [name for name in imported if name.startswith("MedSAMSlicerLib.")], "not before it is needed"


def test_slicers_start_up_imports_nothing_heavy_either(module_file: Path) -> None:
    """What the module does when Slicer has started: settings and samples."""
    code = (
        "import sys, types; qt = types.ModuleType('qt'); qt.QSettings = lambda: types.SimpleNamespace("
        "value=lambda key, default=None: default); sys.modules['qt'] = qt; before = set(sys.modules)\n"
        "from MedSAMSlicerLib.panel import settings; settings.apply()\nimport MedSAMSlicerLib.panel.setup.sample_data\n"
        "print(*(set(sys.modules) - before))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=module_file.parent, capture_output=True, text=True, check=True
    )
    assert {name.split(".")[0] for name in finished.stdout.split()} & HEAVY == set()


def test_slicer_lists_the_module_under_segmentation(loaded: Any) -> None:
    parent = loaded.parent
    assert parent.title == "MedSAMSlicer"
    assert tuple(parent.categories) == ("Segmentation",)
    assert tuple(parent.contributors) == ("MedSAMSlicer maintainers",)
    assert "not a medical device" in parent.helpText
    assert "{" not in parent.helpText
    assert "MedSAM" in parent.acknowledgementText


def test_the_panel_shows_the_version_and_can_be_reloaded(loaded: Any, host: Any) -> None:  # noqa: F811
    panel = slicer.modules.medsamslicer.widgetRepresentation()
    for _ in range(2):
        texts = [label.text for label in slicer.util.findChildren(panel, className="QLabel")]
        assert any(MedSAMSlicerLib.__version__ in text for text in texts), texts
        panel.self().cleanup()
        panel.reload()


def test_the_modules_own_test_passes(loaded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slicer.util, "selectModule", lambda name: None)
    loaded.runTest()


def test_slicer_finds_its_classes_by_name(loaded: Any) -> None:
    for suffix in ("", "Widget", "Logic", "Test"):
        assert isinstance(getattr(sys.modules["MedSAMSlicer"], f"MedSAMSlicer{suffix}"), type)


def described(panel_file: Path) -> ElementTree.Element:
    return ElementTree.parse(panel_file).getroot()  # noqa: S314 - the project's own file


def texts_shown(widget: Any) -> set[str]:
    """Texts and tooltips that the code has set, apart from what the .ui file brings, which Qt translates."""
    return {text for child in widget.findChildren() if child.inherits("QLabel") for text in [child.text] if text}


def test_every_text_that_the_code_shows_can_be_translated(loaded: Any, panel_file: Path) -> None:
    slicer_python.translated.clear()
    panel = slicer.modules.medsamslicer.widgetRepresentation()
    in_the_file = {element.text for element in described(panel_file).iter("string")}
    beginnings = {text.partition("{")[0] for _, text in slicer_python.translated}
    untranslated = [
        text
        for text in texts_shown(panel) - in_the_file
        if not any(beginning and beginning in text for beginning in beginnings)
    ]
    assert untranslated == []


def test_whatever_can_be_clicked_has_a_tooltip(panel_file: Path) -> None:
    widgets = [w for w in described(panel_file).iter("widget") if w.get("class") in MAY_BE_CLICKED]
    assert len(widgets) > 15
    without = [w.get("name") for w in widgets if not w.findtext("property[@name='toolTip']/string")]
    assert without == []


def test_no_label_can_widen_the_panel(panel_file: Path) -> None:
    """Slicer's panel is narrow: long texts are broken into lines."""
    labels = [w for w in described(panel_file).iter("widget") if w.get("class") == "QLabel"]
    long = [
        w.get("name")
        for w in labels
        if w.findtext("property[@name='wordWrap']/bool") != "true"
        and not 0 < len(w.findtext("property[@name='text']/string") or "") < 30
    ]
    assert long == []
