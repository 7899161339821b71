"""The three floors: engine <- scene <- faces. Nothing imports upwards, and nothing heavy comes in unasked."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SLICER = {"slicer", "vtk", "vtkmodules"}
QT = {"qt", "ctk"}
TORCH = {"torch", "torchvision", "segment_anything"}
# Besides the faces, which are the modules directly in MedSAMSlicerLib and forbidden to every floor.
FORBIDDEN = {
    "engine": SLICER | QT | {"SimpleITK", "MedSAMSlicerLib.scene", "MedSAMSlicerLib.io"},
    "scene": QT | TORCH,  # Slicer's main process never imports torch
    "panel/setup": {"vtk", "vtkmodules", "MedSAMSlicerLib.scene", "MedSAMSlicerLib.io"} | QT | TORCH,
    "io": SLICER | QT | TORCH | {"MedSAMSlicerLib.scene"},
}


def imported_modules(file: Path, library: Path) -> Iterator[str]:
    """Full names of all that a file imports, anywhere in it; what is imported for type checking only is left out."""
    package = ["MedSAMSlicerLib", *file.relative_to(library).parent.parts]
    for node in _nodes_that_run(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from _nodes_that_run(child)


def is_within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


@pytest.mark.parametrize("floor", FORBIDDEN)
def test_no_file_of_a_floor_imports_upwards(repository: Path, floor: str) -> None:
    library = repository / "MedSAMSlicer" / "MedSAMSlicerLib"
    files = sorted((library / floor).rglob("*.py"))
    assert files
    forbidden = FORBIDDEN[floor] | {f"MedSAMSlicerLib.{face.stem}" for face in library.glob("*.py")}
    wrong = [
        f"{file.relative_to(library)} imports {module}"
        for file in files
        for module in imported_modules(file, library)
        if is_within(module, forbidden)
    ]
    assert wrong == []


def test_an_upward_import_would_be_seen_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "engine" / "models").mkdir(parents=True)
    file = tmp_path / "engine" / "models" / "bad.py"
    file.write_text(
        "from ... import scene\n"
        "from ...io.image_files import read\n"
        "def late():\n    import vtkmodules.vtkCommonCore\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import slicer\n"
    )
    found = [name for name in imported_modules(file, tmp_path) if is_within(name, FORBIDDEN["engine"])]
    assert "MedSAMSlicerLib.scene" in found
    assert "MedSAMSlicerLib.io.image_files" in found
    assert "vtkmodules.vtkCommonCore" in found
    assert "slicer" not in found


def test_importing_the_library_imports_nothing_heavy(repository: Path) -> None:
    heavy = "{'torch', 'numpy', 'SimpleITK', 'slicer', 'vtk', 'matplotlib'}"
    code = f"import sys, MedSAMSlicerLib; print(sorted({heavy} & sys.modules.keys()))"
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "MedSAMSlicer", capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"


def test_every_folder_with_code_is_a_package(repository: Path) -> None:
    folders = {file.parent for file in (repository / "MedSAMSlicer" / "MedSAMSlicerLib").rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
