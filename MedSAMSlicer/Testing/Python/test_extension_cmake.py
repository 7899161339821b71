"""What Slicer's build reads: CMake files, catalogue entry, description file, icon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import pytest

# Stands in for Slicer's build system and writes down what the project hands to it.
FAKE_SLICER = """
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/use.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/use.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/cpack.cmake")
set(BUILD_TESTING ON)
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  foreach(part NAME SCRIPTS RESOURCES UNPARSED_ARGUMENTS)
    message(STATUS "MODULE_${part}=${MODULE_${part}}")
  endforeach()
endmacro()
macro(slicer_add_python_unittest)
  get_filename_component(name ${ARGV1} NAME_WE)
  message(STATUS "UNITTEST_${name}=${ARGN}")
endmacro()
"""
FAKE_CPACK = """
foreach(part HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  message(STATUS "EXTENSION_${part}=${EXTENSION_${part}}")
endforeach()
"""


def run_cmake(*arguments: object) -> dict[str, str]:
    """Name -> value of what the CMake files hand to Slicer while CMake runs."""
    finished = subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return dict(re.findall(r"^-- (\w+)=(.*)$", finished.stdout, flags=re.MULTILINE))


@pytest.fixture(scope="module")
def slicer_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a build system that records what it is given."""
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    folder = tmp_path_factory.mktemp("slicer")
    (folder / "SlicerConfig.cmake").write_text(FAKE_SLICER)
    (folder / "use.cmake").write_text("")
    (folder / "cpack.cmake").write_text(FAKE_CPACK)
    return folder


@pytest.fixture(scope="module")
def configured(repository: Path, slicer_build: Path) -> dict[str, str]:
    """Name -> value of what the CMake files hand to Slicer when they are configured."""
    return run_cmake("-S", repository, "-B", slicer_build / "build", f"-DSlicer_DIR={slicer_build}")


def files_of_the_module(repository: Path) -> set[str]:
    """What git knows or would add under MedSAMSlicer/, tests and CMake files left out."""
    module = repository / "MedSAMSlicer"
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=module, capture_output=True, check=True, text=True).stdout.split("\0")
    return {
        name
        for name in listed
        if (module / name).is_file() and not name.startswith("Testing/") and Path(name).name != "CMakeLists.txt"
    }


def description_file(repository: Path) -> dict[str, str]:
    lines = (repository / "MedSAMSlicer.s4ext").read_text().splitlines()
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def test_slicer_installs_every_file_of_the_module_and_no_other(repository: Path, configured: dict[str, str]) -> None:
    if not (repository / ".git").exists():
        pytest.skip("needs a git checkout")
    scripts, resources = (configured[f"MODULE_{part}"].split(";") for part in ("SCRIPTS", "RESOURCES"))
    assert sorted(scripts + resources) == sorted(files_of_the_module(repository))
    assert all(name.endswith(".py") for name in scripts) and not any(name.endswith(".py") for name in resources)


def test_slicer_is_given_the_name_of_the_module_and_its_tests(configured: dict[str, str]) -> None:
    assert configured["MODULE_NAME"] == "MedSAMSlicer"
    assert configured["MODULE_UNPARSED_ARGUMENTS"] == ""
    for name in ("MedSAMSlicer", "MedSAMSlicerEffectTest"):
        assert configured[f"UNITTEST_{name}"] == f"SCRIPT;{name}.py"


def test_the_next_build_finds_new_and_deleted_files(repository: Path, slicer_build: Path, tmp_path: Path) -> None:
    copy = tmp_path / "extension"
    shutil.copytree(repository / "MedSAMSlicer", copy / "MedSAMSlicer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repository / "CMakeLists.txt", copy)
    build = tmp_path / "build"
    run_cmake("-S", copy, "-B", build, f"-DSlicer_DIR={slicer_build}")
    (copy / "MedSAMSlicer" / "MedSAMSlicerLib" / "engine" / "novelty.py").touch()
    (copy / "MedSAMSlicer" / "Resources" / "Icons" / "Novelty.png").touch()
    (copy / "MedSAMSlicer" / "MedSAMSlicerLib" / "engine" / "models" / "novelty.medsam").touch()
    (copy / "MedSAMSlicer" / "MedSAMSlicerLib" / "engine" / "errors.py").unlink()
    rebuilt = run_cmake("--build", build)
    scripts, resources = (rebuilt[f"MODULE_{part}"].split(";") for part in ("SCRIPTS", "RESOURCES"))
    assert "MedSAMSlicerLib/engine/novelty.py" in scripts and "MedSAMSlicerLib/engine/errors.py" not in scripts
    assert "Resources/Icons/Novelty.png" in resources
    assert "MedSAMSlicerLib/engine/models/novelty.medsam" in resources


def test_catalogue_entry_holds_what_the_extensions_index_asks_for(repository: Path) -> None:
    entry = json.loads((repository / "MedSAMSlicer.json").read_text())
    types = {
        "$schema": str,
        "build_dependencies": list,
        "build_subdirectory": str,
        "category": str,
        "dicom_support_rule": str,
        "enabled": bool,
        "scm_revision": str,
        "scm_type": str,
        "scm_url": str,
        "tier": int,
    }
    assert {"$schema", "category", "scm_url"} <= entry.keys() <= types.keys()
    assert all(type(value) is types[key] for key, value in entry.items())
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert entry["build_dependencies"] == ["PyTorch"]
    assert entry["tier"] in range(1, 6)


def test_catalogue_entry_description_file_and_build_say_the_same(repository: Path, configured: dict[str, str]) -> None:
    entry = json.loads((repository / "MedSAMSlicer.json").read_text())
    described = description_file(repository)
    assert described["scmurl"] == entry["scm_url"]
    assert described["scmrevision"] == entry["scm_revision"]
    assert described["depends"].split() == entry["build_dependencies"] == configured["EXTENSION_DEPENDS"].split(";")
    assert described["category"] == entry["category"] == configured["EXTENSION_CATEGORY"] == "Segmentation"
    for key in ("homepage", "contributors", "iconurl", "description", "screenshoturls"):
        assert described[key] == configured[f"EXTENSION_{key.upper()}"] != ""


def test_files_named_by_address_lie_where_the_address_says(repository: Path) -> None:
    described = description_file(repository)
    raw = described["homepage"].replace("github.com", "raw.githubusercontent.com") + "/" + described["scmrevision"]
    assert described["iconurl"] == f"{raw}/MedSAMSlicer.png"
    assert (repository / "MedSAMSlicer.png").is_file()
    assert described["screenshoturls"] == f"{raw}/docs/preview.png"


@pytest.mark.parametrize("name", ["MedSAMSlicer.png", "MedSAMSlicer/Resources/Icons/MedSAMSlicer.png"])
def test_icon_has_the_size_of_slicers_icons_and_clear_corners(repository: Path, name: str) -> None:
    pixels = matplotlib.image.imread(repository / name)
    assert pixels.shape == (128, 128, 4)
    alpha = pixels[..., 3]
    assert alpha[[0, 0, -1, -1], [0, -1, 0, -1]].max() == 0
    assert alpha[32:96, 32:96].min() == 1


def test_licence_is_the_apache_licence_in_full(repository: Path) -> None:
    text = (repository / "LICENSE").read_text()
    assert text.lstrip().startswith("Apache License\n                           Version 2.0, January 2004")
    assert "END OF TERMS AND CONDITIONS" in text
    assert len(text) == 11358
