"""What pip and Slicer install: every requirement stated once, and nothing that the code needs left out."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import MedSAMSlicerLib
from support.library_imports import PACKAGE, Library

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

# Distributions whose import name is not their own name.
DISTRIBUTION_OF = {"PIL": "pillow", "slicer": "slicer-core", "vtk": "slicer-core", "vtkmodules": "slicer-core"}
SLICER_OR_PYTORCH_EXTENSION_BRINGS = {
    *("numpy", "scipy", "simpleitk", "requests", "pydicom", "vtk", "slicer-core", "torch", "torchvision", "pillow")
}
ONLY_IN_SLICER = {
    *("qt", "ctk", "PyTorchUtils", "SampleData"),
    *("SegmentEditorEffects", "qSlicerSegmentationsEditorEffectsPythonQt"),
}


def requirements_in(file: Path) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def requirement_files(repository: Path) -> list[Path]:
    resources = repository / "MedSAMSlicer" / "Resources"
    return sorted([*resources.glob("requirements*.txt"), *(repository / "requirements").glob("*.txt")])


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_requirement_is_stated_once_and_with_a_range(repository: Path) -> None:
    stated = [requirement for file in requirement_files(repository) for requirement in requirements_in(file)]
    names = [canonicalize_name(requirement.name) for requirement in stated]
    assert sorted(names) == sorted(set(names))
    for requirement in stated:
        operators = {specifier.operator for specifier in requirement.specifier}
        assert {">=", "<"} <= operators or operators == {"=="}, f"{requirement} has no range"


def test_pip_reads_every_requirements_file(repository: Path, project: dict) -> None:
    dynamic = project["tool"]["setuptools"]["dynamic"]
    read = list(dynamic["dependencies"]["file"])
    for extra in dynamic["optional-dependencies"].values():
        read += extra["file"]
    assert sorted(set(read)) == [file.relative_to(repository).as_posix() for file in requirement_files(repository)]


def test_slicer_is_asked_to_install_only_what_it_lacks(repository: Path) -> None:
    resources = repository / "MedSAMSlicer" / "Resources"
    first, later = (
        {canonicalize_name(requirement.name) for requirement in requirements_in(resources / file)}
        for file in ("requirements.txt", "requirements-torch.txt")
    )
    assert (first | later).isdisjoint(SLICER_OR_PYTORCH_EXTENSION_BRINGS)
    assert "openvino" in first and later == {"segment-anything"}


def test_torch_and_torchvision_ranges_are_matched_pairs(repository: Path) -> None:
    stated = {r.name: r for r in requirements_in(repository / "requirements" / "standalone.txt")}
    bounds = {}
    for name in ("torch", "torchvision"):
        bounds[name] = {s.operator: [int(n) for n in s.version.split(".")] for s in stated[name].specifier}
    for operator in (">=", "<"):
        (torch_major, torch_minor), (vision_major, vision_minor) = (bounds[n][operator] for n in bounds)
        assert (torch_major, vision_major) == (2, 0)
        assert vision_minor == torch_minor + 15


def test_all_that_the_library_imports_is_stated(repository: Path) -> None:
    stated = {canonicalize_name(r.name) for file in requirement_files(repository) for r in requirements_in(file)}
    library = Library(repository / "MedSAMSlicer" / PACKAGE)
    known = sys.stdlib_module_names | ONLY_IN_SLICER | {PACKAGE}
    unstated = {
        f"{file} imports {package}"
        for file in library.files
        for package in (name.split(".")[0] for name in library.imported_names(file))
        if package not in known and canonicalize_name(DISTRIBUTION_OF.get(package, package)) not in stated
    }
    assert sorted(unstated) == []


def test_no_address_of_a_package_index_is_committed(repository: Path) -> None:
    for file in [*requirement_files(repository), repository / "Makefile", repository / ".ci" / "run"]:
        assert not re.search(r"index-url|find-links|https?://", file.read_text(encoding="utf-8")), file


def test_version_is_the_newest_one_in_the_changelog(repository: Path) -> None:
    headings = re.findall(r"^## \[(.+?)\]", (repository / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert next(heading for heading in headings if heading != "Unreleased") == MedSAMSlicerLib.__version__


def test_the_installed_command_leads_to_a_function(project: dict) -> None:
    module, function = project["project"]["scripts"]["medsam-slicer"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_installed_package_carries_these_requirements(repository: Path) -> None:
    try:
        installed = importlib.metadata.distribution("medsam-slicer")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs medsam-slicer to be installed: run 'make env'")
    required = {Requirement(line) for line in installed.requires or []}
    stated = {
        requirement
        for file in (
            *("MedSAMSlicer/Resources/requirements.txt", "MedSAMSlicer/Resources/requirements-torch.txt"),
            "requirements/standalone.txt",
        )
        for requirement in requirements_in(repository / file)
    }
    assert {requirement for requirement in required if requirement.marker is None} == stated
    assert set(installed.metadata.get_all("Provides-Extra") or []) == {"dicom", "slicer", "test", "weights"}
