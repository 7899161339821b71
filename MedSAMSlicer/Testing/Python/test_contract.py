"""Every name of Slicer's that the product uses exists: in a running Slicer, and in each release that is supported."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import slicer.util

from host.application import Host
from host.contract import TOP, Findings, check_source, own_names
from host.contract.names import releases

pytest_plugins = ["host.fixture"]

WITHOUT_SLICER = ("engine", "io", "evaluation", "handoff")


def product_files(repository: Path) -> list[Path]:
    """All but those that know nothing of Slicer: they may be handed its objects without importing anything of it."""
    library = repository / "MedSAMSlicer" / "MedSAMSlicerLib"
    files = [
        file
        for file in sorted(library.rglob("*.py"))
        if file.relative_to(library).parts[0] not in WITHOUT_SLICER and not file.name.startswith("cli")
    ]
    return [repository / "MedSAMSlicer" / "MedSAMSlicer.py", *files]


def ui_files(repository: Path) -> list[Path]:
    return sorted((repository / "MedSAMSlicer" / "Resources" / "UI").glob("*.ui"))


def widgets_of(files: list[Path]) -> dict[str, str]:
    """name -> class of all widgets; `TOP` -> class of the outermost, if it is the same in all files."""
    found, tops = {}, set()
    for file in files:
        root = ElementTree.parse(file).getroot()  # noqa: S314 - the project's own files
        found.update({widget.get("name", ""): widget.get("class", "") for widget in root.iter("widget")})
        tops.update(widget.get("class", "") for widget in root.iterfind("widget"))
    return {**found, **({TOP: tops.pop()} if len(tops) == 1 else {})}


def project_names(repository: Path) -> frozenset[str]:
    module = repository / "MedSAMSlicer"
    files = [module / "MedSAMSlicer.py", *(module / "MedSAMSlicerLib").rglob("*.py")]
    return frozenset(name for file in files for name in own_names(ast.parse(file.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module")
def known(repository: Path) -> tuple[dict[str, str], frozenset[str]]:
    """Widgets of the .ui files and their classes; the project's own names."""
    return widgets_of(ui_files(repository)), project_names(repository)


@pytest.fixture(scope="module")
def findings(repository: Path, known: tuple[dict[str, str], frozenset[str]]) -> Findings:
    total = Findings()
    for file in product_files(repository):
        name = str(file.relative_to(repository))
        total.add(check_source(file.read_text(encoding="utf-8"), name, *known))
    return total


def test_every_name_of_slicers_that_the_product_uses_exists(findings: Findings) -> None:
    assert releases() == ["5.10", "5.12", "main"]
    assert findings.errors == []
    assert len(findings.checked) > 100


# File of the product, a name in it, the same misspelt or of another class, and what the complaint must name.
MISSPELT = [
    ("effect/overlays.py", "view.mrmlSliceNode()", "view.mrmlSliceNod()", "mrmlSliceNod"),
    ("effect/overlays.py", "self._effect.scheduleRender(", "self._effect.pauseRender(", "pauseRender"),
    ("effect/overlays.py", "effect.addActor2D(", "effect.addActor(", "addActor"),
    ("effect/registration.py", "effect.setPythonSource(", "effect.setPythonSorce(", "setPythonSorce"),
    ("effect/registration.py", ".registeredEffects()", ".availableEffectNames()", "availableEffectNames"),
    ("effect/controller.py", "self._timer.isActive()", "self._timer.isActiv()", "isActiv"),
    ("effect/editor_adapter.py", "self._effect.saveStateForUndo()", "self._effect.sliceLogic()", "sliceLogic"),
    ("effect/options_frame.py", '"currentNodeChanged(vtkMRMLNode*)"', '"currentNodeChangd(vtkMRMLNode*)"', "currentNodeChangd"),
    ("effect/options_frame.py", "combo.addItem(", "combo.insertRow(", "insertRow"),
    ("effect/options_frame.py", "stripTable.columnCount = ", "stripTable.columns = ", "columns"),
    ("effect/options_frame.py", "keysTable.currentRow()", "keysTable.selectedRow()", "selectedRow"),
    ("effect/options_frame.py", '"cellClicked(int,int)"', '"cellClicked(int)"', "cellClicked"),
    ("effect/options_frame.py", "keysTable.setItem(", "keysTable.addItem(", "addItem"),
    ("effect/options_frame.py", "keysTable.selectRow(", "keysTable.setCurrentRow(", "setCurrentRow"),
    ("effect/slice_views.py", "view.mrmlSliceNode())", "view.viewNode())", "viewNode"),
    ("processes/qprocess_transport.py", "process.closeWriteChannel()", "process.CloseWriteChannel()", "CloseWriteChannel"),
    ("scene/writing/result_writer.py", "vtkSegmentation.SegmentModified", "vtkSegmentation.SegmentModifid", "SegmentModifid"),
    ("effect/view_events.py", "interactor.GetKeySym()", "interactor.GetKeySim()", "GetKeySim"),
    ("effect/view_events.py", "interactor.GetEventPosition()", "interactor.GetSliceToRAS()", "GetSliceToRAS"),
    ("effect/view_events.py", "slicer.app.mouseButtons()", "slicer.app.mouseButton()", "mouseButton"),
    ("effect/slice_views.py", "display.GetActiveComponentType()", "display.GetActiveComponent()", "GetActiveComponent"),
    ("effect/shortcuts.py", '"activated()"', '"activates()"', "activates"),
    ("SegmentEditorEffect.py", '"focusChanged(QWidget*,QWidget*)"', '"focusChange(QWidget*,QWidget*)"', "focusChange"),
    ("processes/job_process.py", "qt.QTimer.singleShot(", "qt.QTimer.singleShoot(", "singleShoot"),
    ("panel/tables.py", "table.rowCount = ", "table.count = ", "count"),
    ("panel/setup/packages.py", "pip_ensure", "pip_insure", "pip_insure"),
    ("panel/setup/packages.py", "prompt_install=", "prompt_instal=", "prompt_instal"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "right", "wrong", "complaint"), MISSPELT)
def test_a_misspelt_name_in_a_file_of_the_product_is_found(
    repository: Path,
    known: tuple[dict[str, str], frozenset[str]],
    file: str,
    right: str,
    wrong: str,
    complaint: str,
) -> None:
    """That the right names bring no complaint is the first test's."""
    path = repository / "MedSAMSlicer" / "MedSAMSlicerLib" / file
    assert path in product_files(repository)
    source = path.read_text(encoding="utf-8")
    assert right in source
    errors = check_source(source.replace(right, wrong), file, *known).errors
    assert errors
    assert all(complaint in error for error in errors)


def test_a_misspelt_name_of_the_module_sample_data_is_found_by_the_host(host: Host, repository: Path) -> None:
    """No list has that module's names; the host implements it after its source, which takes no other."""
    path = repository / "MedSAMSlicer" / "MedSAMSlicerLib" / "panel" / "setup" / "sample_data.py"
    assert path in product_files(repository)
    source = path.read_text(encoding="utf-8")

    def register(text: str) -> None:
        names: dict[str, Any] = {"__file__": str(path), "__name__": "sample_data"}
        exec(compile(text, str(path), "exec"), names)  # noqa: S102 - the project's own file
        names["register_sample_data"]()

    register(source)
    for right, wrong, error in (
        ("registerCustomSampleDataSource(", "registerCustomSampleDataSorce(", AttributeError),
        ("checksums=", "checksum=", TypeError),
    ):
        assert right in source
        with pytest.raises(error, match=wrong.strip("(=")):
            register(source.replace(right, wrong))


def test_little_could_not_be_checked(findings: Findings) -> None:
    """Prints what (pytest -s, or -rP)."""
    print(f"names looked up: {len(findings.checked)}")  # noqa: T201
    for name in sorted(findings.unchecked):
        print(f"not checked: {name}")  # noqa: T201
    for name in sorted(findings.somewhere):
        print(f"only known to exist somewhere in Slicer: {name}")  # noqa: T201
    assert len(findings.unchecked) + len(findings.somewhere) <= len(findings.checked) / 4


def test_every_ui_file_loads_with_what_slicer_has(host: Host, repository: Path) -> None:
    for file in ui_files(repository):
        assert slicer.util.loadUI(str(file)) is not None


GOOD = """
import qt
import slicer
import slicer.util
import vtk
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    def setupOptionsFrame(self):
        self.button = qt.QPushButton(_("Apply"))
        self.button.enabled = False
        self.button.connect("clicked(bool)", self.onApply)
        self.button.clicked.connect(self.onApply)
        self.scriptedEffect.addOptionsWidget(self.button)
        self.timer = None

    def start(self):
        self.timer = qt.QTimer()
        self.timer.setInterval(10)
        selector = slicer.qMRMLNodeComboBox()
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self.onApply)

    def onApply(self):
        if self.button.text == "Apply":
            self.scriptedEffect.saveStateForUndo()
        node = self.scriptedEffect.parameterSetNode()
        segmentation = node.GetSegmentationNode().GetSegmentation()
        segmentation.GetSegment(node.GetSelectedSegmentID())
        roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
        roi.GetObjectToWorldMatrix()
        mode = slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd
        self.scriptedEffect.modifySelectedSegmentByLabelmap(self.scriptedEffect.defaultModifierLabelmap(), mode)
        layout = slicer.app.layoutManager()
        layout.sliceWidget("Red").sliceLogic().GetSliceNode().GetXYToRAS()
        slicer.util.errorDisplay("x", windowTitle="y")
        slicer.util.getNode(pattern="CT")
        try:
            from slicer.packaging import pip_check
        except ImportError:
            pip_check = None

    def processInteractionEvents(self, callerInteractor, eventId, viewWidget):
        x, y = callerInteractor.GetEventPosition()
        return eventId == vtk.vtkCommand.LeftButtonPressEvent and viewWidget.sliceView().mrmlSliceNode() is not None
"""

# What is misspelt -> the mistake, and what the complaint must name.
MISTAKES = {
    "effect's method": ("scriptedEffect.saveStateForUndo()", "scriptedEffect.saveStateForUnod()", "saveStateForUnod"),
    "Qt class": ("qt.QPushButton(", "qt.QPushButtn(", "QPushButtn"),
    "Slicer's Qt class": ("slicer.qMRMLNodeComboBox(", "slicer.qMRMLNodeCombobox(", "qMRMLNodeCombobox"),
    "property called": ('self.button.text == "Apply"', 'self.button.text() == "Apply"', "property 'text'"),
    "property misspelt": ("self.button.enabled = False", "self.button.enabeld = False", "enabeld"),
    "method misspelt": ("timer.setInterval(10)", "timer.setIntervall(10)", "setIntervall"),
    "util function": ("slicer.util.errorDisplay(", "slicer.util.loadUIx(", "loadUIx"),
    "util argument": ('pattern="CT"', 'patern="CT"', "'patern'"),
    "signal's name": ('"clicked(bool)"', '"clickd(bool)"', "clickd"),
    "signal's arguments": ('"clicked(bool)"', '"clicked(int)"', r"clicked\(bool\)"),
    "signal without arguments": ('"clicked(bool)"', '"clicked"', "lacks the signal's arguments"),
    "signal of Slicer's": ("currentNodeChanged(vtkMRMLNode*)", "currentNodeChanged(QString)", "currentNodeChanged"),
    "signal as attribute": ("self.button.clicked.connect", "self.button.clicked.conect", "conect"),
    "enumerator": ("ModificationModeAdd", "ModificationModeAppend", "ModificationModeAppend"),
    "too many arguments": ("setInterval(10)", "setInterval(10, 20)", "2 arguments"),
    "MRML method": ("GetSelectedSegmentID()", "GetSelectedSegmentId()", "GetSelectedSegmentId"),
    "MRML method further on": ("segmentation.GetSegment(", "segmentation.GetSegmnt(", "GetSegmnt"),
    "MRML class": ("roi.GetObjectToWorldMatrix", "roi.GetObjectToWorldMatrx", "GetObjectToWorldMatrx"),
    "slice logic": ("GetSliceNode().GetXYToRAS()", "GetSliceNode().GetXyToRas()", "GetXyToRas"),
    "interactor": ("callerInteractor.GetEventPosition()", "callerInteractor.GetEventPositon()", "GetEventPositon"),
    "event": ("vtkCommand.LeftButtonPressEvent", "vtkCommand.LeftButtonDownEvent", "LeftButtonDownEvent"),
    "view": ("viewWidget.sliceView()", "viewWidget.slicesView()", "slicesView"),
    "too new": ("except ImportError", "except KeyError", r"not in Slicer 5\.10"),
    "translation": ("from slicer.i18n import tr", "from slicer.i18n import trr", "trr"),
}


def test_right_names_are_let_pass() -> None:
    found = check_source(GOOD, "good.py")
    assert found.errors == []
    assert {
        "qSlicerSegmentEditorScriptedEffect.saveStateForUndo",
        "vtkMRMLSegmentEditorNode.GetSegmentationNode",
    } <= found.checked


@pytest.mark.parametrize("what", MISTAKES)
def test_a_deliberate_mistake_is_found(what: str) -> None:
    right, wrong, complaint = MISTAKES[what]
    assert right in GOOD
    errors = check_source(GOOD.replace(right, wrong), "bad.py").errors
    assert len(errors) == 1
    with pytest.raises(AssertionError, match=complaint):
        raise AssertionError(errors[0])


def test_widgets_of_ui_files_are_checked_by_their_class() -> None:
    source = (
        "import slicer\n"
        "class Panel:\n"
        "    def setup(self, path):\n"
        "        self.ui = slicer.util.childWidgetVariables(slicer.util.loadUI(path))\n"
        "        self.ui.width.value = 3\n"
        "        self.ui.width.vlaue = 3\n"
        "        self.ui.hight.value = 3\n"
    )
    errors = check_source(source, "panel.py", {"width": "QSpinBox"}).errors
    assert [error.split(": ", 1)[0] for error in errors] == ["panel.py:6", "panel.py:7"]


def test_names_on_objects_of_unknown_class_have_to_exist_somewhere() -> None:
    found = check_source(
        "def f(node, box):\n    node.GetSegmentation()\n    box.currentIndx\n    node.GetSegmntation()\n", "x.py"
    )
    assert found.somewhere == {"GetSegmentation"}
    assert len(found.errors) == 2
