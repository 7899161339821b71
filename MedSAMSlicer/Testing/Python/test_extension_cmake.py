"""What Slicer's build reads: CMake files, catalogue entry, description file, icon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import pytest

import update_cmake_lists as cmake_lists

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


@pytest.fixture(scope="module")
def configured(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name -> value of what the CMake files hand to Slicer when they are configured."""
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    folder = tmp_path_factory.mktemp("slicer")
    (folder / "SlicerConfig.cmake").write_text(FAKE_SLICER)
    (folder / "use.cmake").write_text("")
    (folder / "cpack.cmake").write_text(FAKE_CPACK)
    command = ["cmake", "-S", str(repository), "-B", str(folder / "build"), f"-DSlicer_DIR={folder}"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return dict(re.findall(r"^-- (\w+)=(.*)$", finished.stdout, flags=re.MULTILINE))


def description_file(repository: Path) -> dict[str, str]:
    lines = (repository / "MedSAMSlicer.s4ext").read_text().splitlines()
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}


def test_every_script_and_resource_is_listed_for_installation(repository: Path) -> None:
    found = cmake_lists.differences(repository / "MedSAMSlicer" / "CMakeLists.txt")
    assert found == [], "run 'make lists' and commit MedSAMSlicer/CMakeLists.txt"


def test_slicer_is_handed_the_listed_files_and_all_of_them_exist(repository: Path, configured: dict[str, str]) -> None:
    listed = cmake_lists.read_lists((repository / "MedSAMSlicer" / "CMakeLists.txt").read_text())
    assert configured["MODULE_NAME"] == "MedSAMSlicer"
    assert configured["MODULE_SCRIPTS"].split(";") == listed["scripts"]
    assert configured["MODULE_RESOURCES"].split(";") == listed["resources"]
    assert configured["MODULE_UNPARSED_ARGUMENTS"] == ""
    for name in ("MedSAMSlicer", "MedSAMSlicerEffectTest"):
        assert configured[f"UNITTEST_{name}"] == f"SCRIPT;{name}.py"
    assert all((repository / "MedSAMSlicer" / name).is_file() for name in listed["scripts"] + listed["resources"])


def test_no_test_and_no_cache_file_is_installed(repository: Path) -> None:
    listed = cmake_lists.read_lists((repository / "MedSAMSlicer" / "CMakeLists.txt").read_text())
    assert not [name for names in listed.values() for name in names if "Testing" in name or "__pycache__" in name]
    assert "MedSAMSlicer.py" in listed["scripts"]
    assert "Resources/Icons/MedSAMSlicer.png" in listed["resources"]


class TestListsFollowTheFiles:
    @pytest.fixture
    def module(self, tmp_path: Path) -> Path:
        folder = tmp_path / "Thing"
        for name in ("Thing.py", "ThingLib/__init__.py", "ThingLib/table.json", "Resources/Icons/Thing.png"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("")
        (folder / "Testing").mkdir()
        (folder / "Testing" / "test_thing.py").write_text("")
        (folder / "ThingLib" / "__pycache__").mkdir()
        (folder / "ThingLib" / "__pycache__" / "table.pyc").write_text("")
        empty = (
            "set(S\n  # scripts: begin\n  # scripts: end\n  )\nset(R\n  # resources: begin\n  # resources: end\n  )\n"
        )
        (folder / "CMakeLists.txt").write_text(empty)
        return folder

    def update(self, module: Path) -> None:
        cmake_file = module / "CMakeLists.txt"
        lists = cmake_lists.wanted_lists(cmake_lists.module_files(module), module.name)
        cmake_file.write_text(cmake_lists.with_lists(cmake_file.read_text(), lists))

    def test_a_new_file_is_missed_then_listed(self, module: Path) -> None:
        assert "scripts: Thing.py is not listed" in cmake_lists.differences(module / "CMakeLists.txt")
        self.update(module)
        assert cmake_lists.differences(module / "CMakeLists.txt") == []
        assert cmake_lists.read_lists((module / "CMakeLists.txt").read_text()) == {
            "scripts": ["Thing.py", "ThingLib/__init__.py"],
            "resources": ["Resources/Icons/Thing.png", "ThingLib/table.json"],
        }

    def test_a_deleted_file_is_superfluous(self, module: Path) -> None:
        self.update(module)
        (module / "ThingLib" / "table.json").unlink()
        assert cmake_lists.differences(module / "CMakeLists.txt") == [
            "resources: ThingLib/table.json is listed but not there"
        ]

    def test_git_decides_what_belongs_to_the_project(self, module: Path) -> None:
        git = ["git", "-C", str(module.parent)]
        subprocess.run([*git, "init", "--quiet"], check=True)
        (module.parent / ".gitignore").write_text("*.log\n__pycache__/\n")
        (module / "Resources" / "run.log").write_text("")
        self.update(module)
        assert "Resources/run.log" not in (module / "CMakeLists.txt").read_text()
        assert cmake_lists.differences(module / "CMakeLists.txt") == []

    def test_lost_markers_are_named(self, module: Path) -> None:
        text = (module / "CMakeLists.txt").read_text().replace("# scripts: end", "")
        with pytest.raises(ValueError, match="scripts: end"):
            cmake_lists.read_lists(text)


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
