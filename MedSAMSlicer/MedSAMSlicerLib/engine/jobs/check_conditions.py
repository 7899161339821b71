"""What the result of the device check depends on: it no longer holds once one of these has changed."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Sequence

from ..environment import processor_name

_PACKAGES = ("torch", "openvino")


def computer_key() -> str:
    """Versions of the packages that run networks, and the processor, as text. Imports none of the packages."""
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return f"{versions}; {processor_name()}, {os.cpu_count()} cores"


def conditions(devices: Sequence[str], model: str, weights_sha256: str) -> str:
    """All that a check depends on, as text: `computer_key`, the devices, and the weights that it was made with.

    Args:
        model: key of the base model: an adapter changes neither the time that a device takes nor its errors.
        weights_sha256: checksum of its weights.
    """
    return f"{computer_key()}; {', '.join(devices)}; {model} {weights_sha256}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"
