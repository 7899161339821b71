"""Python packages that some models and devices need: LiteMedSAM runs with OpenVINO or with PyTorch."""

from __future__ import annotations

import importlib.util

from .errors import MissingPackage
from .i18n import tr as _

TORCH_PACKAGES = ("torch", "segment_anything")
"""Networks that PyTorch runs are built from parts of the package segment-anything."""


def openvino_installed() -> bool:
    return _installed("openvino")


def torch_installed() -> bool:
    """Whether networks can be built with PyTorch. Imports none of its packages."""
    return all(map(_installed, TORCH_PACKAGES))


def check_torch(what: str) -> None:
    """Check that PyTorch is installed before `what`, the subject of a sentence, fails for want of it.

    Raises:
        MissingPackage: it is not; the message says how to get it.
    """
    if not torch_installed():
        needs = _("{what} needs PyTorch, which is not installed: ").format(what=what)
        raise MissingPackage(
            needs + _("'pip install torch segment-anything'"),
            needs + _("install it in the module MedSAMSlicer"),
        )


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
