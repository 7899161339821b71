"""Look-ups: does a name exist in a running Slicer, and in each release that is supported."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import slicer
import vtk

from ..facts import Facts, facts_of, read, runtime
from ..facts import names as class_names

# What the application and its start-up put on `slicer`, besides classes.
SLICER_NAMES = {"app", "mrmlScene", "modules", "util", "i18n", "packaging", "ScriptedLoadableModule", "selfTests", "cli", "testing", "parameterNodeWrapper"}  # fmt: skip
# Real names that the lists lack: PythonQt's spelling of words that were once Python's own.
SPELLED = {"exec_": "exec", "print_": "print", "raise_": "raise"}
# Of ctkDICOMDatabase, from CTK's header: the running Slicer that the lists come from was built without DICOM.
DICOM_DATABASE = {"fileForInstance", "insert", "isOpen"}
# vtk classes that methods return or events hand over, where neither list nor docstring says so.
RETURNS = {
    "mrmlScene": "vtkMRMLScene", "scene": "vtkMRMLScene", "applicationLogic": "vtkSlicerApplicationLogic",
    "sliceLogic": "vtkMRMLSliceLogic", "mrmlSliceNode": "vtkMRMLSliceNode", "interactor": "vtkRenderWindowInteractor",
    "mrmlSliceCompositeNode": "vtkMRMLSliceCompositeNode", "renderWindow": "vtkRenderWindow",
    "renderer": "vtkRenderer", "interactorStyle": "vtkInteractorObserver", "parameterSetNode": "vtkMRMLSegmentEditorNode",
    "mrmlSegmentEditorNode": "vtkMRMLSegmentEditorNode", "viewNode": "vtkMRMLAbstractViewNode",
    "defaultModifierLabelmap": "vtkOrientedImageData", "modifierLabelmap": "vtkOrientedImageData",
    "maskLabelmap": "vtkOrientedImageData", "sourceVolumeImageData": "vtkOrientedImageData",
    "selectedSegmentLabelmap": "vtkOrientedImageData", "referenceGeometryImage": "vtkOrientedImageData",
    "currentNode": "vtkMRMLNode", "nodeReference": "vtkMRMLNode", "segmentationNode": "vtkMRMLSegmentationNode",
    "sourceVolumeNode": "vtkMRMLVolumeNode",
}  # fmt: skip
UTIL_RETURNS = {
    "getNode": "vtkMRMLNode", "loadVolume": "vtkMRMLVolumeNode", "loadSegmentation": "vtkMRMLSegmentationNode",
    "loadMarkups": "vtkMRMLMarkupsNode", "addVolumeFromArray": "vtkMRMLScalarVolumeNode",
    "vtkMatrixFromArray": "vtkMatrix4x4",
}  # fmt: skip
QT_RETURNS = {"mainWindow": "qSlicerMainWindow", "loadUI": "QWidget", "findChild": "QWidget", "createProgressDialog": "QProgressDialog"}  # fmt: skip
PYTHON_EFFECT = "AbstractScriptedSegmentEditorEffect"


def releases() -> list[str]:
    return list(read("slicer_api.json.gz")["releases"])


def qt_facts(name: str) -> Facts | None:
    try:
        return facts_of(name)
    except KeyError:
        return None


def shown_by(module: str, name: str) -> bool:
    groups = {"slicer": ("slicer", "effects"), "qSlicerSegmentationsEditorEffectsPythonQt": ("effects",)}
    return name in set(class_names(*groups.get(module, (module,))))


def releases_of_member(owner: str, member: str) -> list[str] | None:
    """Releases whose headers have the member; None where the lists do not go so far (Qt itself)."""
    return _of_member(owner, SPELLED.get(member, member), ())


def _of_member(owner: str, member: str, seen: tuple[str, ...]) -> list[str] | None:
    entry = read("slicer_api.json.gz")["qt"].get(owner)
    if entry is None or owner in seen:
        return None
    if member in entry["members"]:
        return list(entry["members"][member][1])
    for base in entry["bases"]:
        if (found := _of_member(base, member, (*seen, owner))) is not None:
            return found
    return None


def known_to_releases(owner: str) -> bool:
    return owner in read("slicer_api.json.gz")["qt"]


def is_qt_itself(owner: str, member: str) -> bool:
    """Whether the member comes from a class of Qt, which is the same in all releases."""
    facts = qt_facts(owner)
    lineage = facts.lineage if facts is not None else ()
    return any(facts_of(base).group == "qt" and has_member(base, member) for base in lineage)


def has_member(owner: str, member: str) -> bool:
    facts = qt_facts(owner)
    return facts is not None and facts.member(SPELLED.get(member, member))


@cache
def python_names(module: str) -> dict[str, Any]:
    """name -> {"spec", "in"} of one of Slicer's Python modules."""
    found: dict[str, Any] = read("slicer_api.json.gz")["python"].get(module, {})
    return found


def python_module(name: str) -> bool:
    return name in read("slicer_api.json.gz")["python"]


def in_runtime_util(name: str) -> bool:
    return name in runtime()["util"]


def module_names() -> set[str]:
    return set(runtime()["modules"])


def vtk_class(name: str) -> Any:
    """A class of VTK or MRML by name, or None."""
    for module in (slicer, vtk):
        found = vars(module).get(name)
        if isinstance(found, type):
            return found
    return None


@cache
def vtk_classes() -> tuple[type, ...]:
    found = [c for module in (vtk, slicer) for n, c in vars(module).items() if n.startswith("vtk")]
    return tuple(c for c in found if isinstance(c, type))


@cache
def vtk_members(cls: type) -> frozenset[str]:
    """Names that the class or any of its subclasses has."""
    names = set(dir(cls))
    for other in vtk_classes():
        if issubclass(other, cls):
            names.update(vars(other))
    return frozenset(names)


@cache
def all_vtk_members() -> frozenset[str]:
    return frozenset(name for cls in vtk_classes() for name in vars(cls))


@cache
def all_qt_members() -> frozenset[str]:
    found: set[str] = set(DICOM_DATABASE)
    for entry in runtime()["classes"].values():
        found.update(entry["methods"], entry["signals"], entry["other"])
    found.update(runtime()["app"]["methods"], runtime()["app"]["other"], runtime()["util"])
    for entry in read("slicer_api.json.gz")["qt"].values():
        found.update(entry["members"])
    for module in read("slicer_api.json.gz")["python"].values():
        for name, declared in module.items():
            found.add(name)
            found.update(declared["spec"] if isinstance(declared["spec"], dict) else ())
    return frozenset(found)


@cache
def vtk_return(cls: type, method: str) -> Any:
    """Class that a method returns, read from its docstring; None where it does not say."""
    doc = getattr(getattr(cls, method, None), "__doc__", None) or ""
    found = re.findall(r"->\s+(vtk\w+)", doc)
    return vtk_class(found[0]) if found else None


def most_arguments(spec: list[str]) -> int | None:
    """Largest number of arguments without names; None: any number."""
    plain = [name for name in spec if name not in ("self", "cls")]
    return None if any(name.startswith("*") for name in plain) else len(plain)
