"""The layout of the package: which folder may import which, no circles, and nothing heavy where Slicer has to stay quick.

engine <- io <- evaluation <- handoff, evaluation <- learning, and engine <- scene; on top of them the faces: API, command line, panel, logic of the module,
effect, and the file that Slicer loads.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from support.library_imports import PACKAGE, Library

SLICER = {"slicer", "vtk", "vtkmodules"}
QT = {"qt", "ctk"}
TORCH = {"torch", "torchvision", "segment_anything"}
THIRD_PARTY: dict[str, set[str]] = {
    "engine": SLICER | QT | {"SimpleITK"},
    "io": SLICER | QT | TORCH,
    "evaluation": SLICER | QT | TORCH,
    "learning": SLICER | QT | {"SimpleITK"},
    "handoff": SLICER | QT | TORCH,
    "scene": QT | TORCH,  # it runs in Slicer's main process, which never imports torch
    "logic": TORCH,
    "processes": TORCH,
    "effect": TORCH,
    "panel": TORCH,
    "panel.setup": {"vtk", "vtkmodules"} | QT | TORCH,
}
"""Folder -> packages that neither it nor a folder in it imports."""

ENGINE = ["engine"] + [
    f"engine.{name}"
    for name in ("diagnostics", "volume", "models", "runtimes", "inference", "propagation", "serving", "jobs")
]
"""Folders of the engine; each may import those before it."""
SCENE = [
    ["scene.volume"],
    ["scene.roi", "scene.display", "scene.worker"],
    ["scene.state"],
    ["scene.writing"],
    ["scene.editing"],
]
"""Folders of the scene; each may import those of the lines before it and the engine."""
SCENE_FOLDERS = [folder for level in SCENE for folder in level]
BELOW_FACES = [*ENGINE, "io", "evaluation", "handoff", *SCENE_FOLDERS]
FACES = {
    "api": [*ENGINE, "io", "handoff"],
    "cli": [*ENGINE, "io", "evaluation", "learning", "handoff", "api"],
    "processes": [*ENGINE, "scene.worker"],
    "panel.setup": ENGINE,
    "panel": [*BELOW_FACES, "processes", "panel.setup", "api"],
    "logic": [*BELOW_FACES, "processes", "panel", "panel.setup", "api"],
    "effect": [*BELOW_FACES, "processes", "panel", "panel.setup", "logic", "api"],
    # The file that Slicer loads.
    "SegmentEditorEffect": [*BELOW_FACES, "processes", "panel", "panel.setup", "logic", "effect"],
}
MAY_IMPORT: dict[str, set[str]] = {
    **{folder: set(ENGINE[:n]) for n, folder in enumerate(ENGINE)},
    "io": set(ENGINE),
    "evaluation": {*ENGINE, "io"},
    "learning": {*ENGINE, "io", "evaluation"},
    "handoff": {*ENGINE, "io", "evaluation"},
    **{
        folder: {*ENGINE, *(below for lower in SCENE[:n] for below in lower)}
        for n, level in enumerate(SCENE)
        for folder in level
    },
    **{folder: set(below) for folder, below in FACES.items()},
}
"""Folder, or file directly in the package -> others of them that it may import, at type checking time too."""


def not_allowed(library: Library) -> set[tuple[str, str]]:
    """Imports (module, imported module) from a folder that the module's folder may not import."""
    return {
        (module, imported)
        for module, found in library.graph().items()
        for imported in found
        if (folder := library.folder(module)) != (other := library.folder(imported)) and other not in MAY_IMPORT[folder]
    }


def circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Names of one circle in a graph; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(Path(__file__).resolve().parents[2] / PACKAGE)


def test_every_folder_has_its_place(library: Library) -> None:
    empty = {"", "scene"}  # they hold folders, and no file but the docstring
    folders = {library.folder(module) for module in library.files} - empty
    assert folders <= MAY_IMPORT.keys()
    assert all((library.root / name.replace(".", "/")).is_dir() for name in (*ENGINE, *SCENE_FOLDERS))


def test_imports_go_downwards(library: Library) -> None:
    assert sorted(not_allowed(library)) == []


def test_no_files_import_each_other_in_a_circle(library: Library) -> None:
    assert circle(library.graph()) == []


def test_no_folders_import_each_other_in_a_circle(library: Library) -> None:
    folders: dict[str, set[str]] = {}
    for module, found in library.graph().items():
        folder = library.folder(module)
        others = {library.folder(imported) for imported in found}
        folders.setdefault(folder, set()).update(others - {folder})
    assert circle(folders) == []


@pytest.mark.parametrize("folder", THIRD_PARTY)
def test_no_folder_imports_packages_that_are_not_for_it(library: Library, folder: str) -> None:
    modules = [name for name in library.files if name == folder or name.startswith(f"{folder}.")]
    assert modules
    wrong = [
        f"{module} imports {name}"
        for module in modules
        for name in library.imported_names(module)
        if name.partition(".")[0] in THIRD_PARTY[folder]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("code", "imported"),
    [
        (
            "from ... import scene\nfrom ...scene import volume\nfrom ...scene.volume import geometry",
            "scene.volume.geometry",
        ),
        ("from ...scene.volume.geometry import corners", "scene.volume.geometry"),
        ("def late():\n    import MedSAMSlicerLib.scene.volume.geometry", "scene.volume.geometry"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..jobs import job", "engine.jobs.job"),
        ("from ..inference.predictor import Predictor", "engine.inference.predictor"),
    ],
)
def test_an_upward_import_is_noticed_however_it_is_written(tmp_path: Path, code: str, imported: str) -> None:
    for name in ("engine/models/bad", *(name.replace(".", "/") for name in (imported, "engine.errors"))):
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (tmp_path / "engine/models/bad.py").write_text(f"from ..errors import InputError\n{code}\n")
    assert not_allowed(Library(tmp_path)) == {("engine.models.bad", imported)}


def test_a_circle_is_noticed() -> None:
    assert circle({"a": ["b"], "b": ["c"], "c": []}) == []
    assert set(circle({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})) == {"a", "b", "c"}


def test_importing_the_library_imports_nothing_heavy(repository: Path) -> None:
    heavy = "{'torch', 'numpy', 'SimpleITK', 'slicer', 'vtk', 'matplotlib'}"
    code = f"import sys, MedSAMSlicerLib; print(sorted({heavy} & sys.modules.keys()))"
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "MedSAMSlicer", capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"


def test_every_folder_with_code_is_a_package(repository: Path) -> None:
    folders = {file.parent for file in (repository / "MedSAMSlicer" / PACKAGE).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
