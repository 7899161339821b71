"""What was found when an object in an image was segmented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..engine.intensity import Window
from ..engine.model_choice import LoadedModel, Timings
from ..engine.results import SliceResult
from ..engine.stack import ArrayStack
from ..engine.volume.volume_prompt import VolumePrompt
from .image import Image

if TYPE_CHECKING:
    from ..engine.propagation.prompt_jitter import JitterAgreement


@dataclass(frozen=True, eq=False, repr=False)
class Segmentation:
    """Result of `segment` of the Python API.

    Attributes
    ----------
    mask : (K, J, I) ndarray of bool
        Voxels of the object, in the order of ``image.voxels``. All False if the model found no object.
    slices : tuple of SliceResult
        Results of single slices along `axis`, lowest index first: mask, confidence, predicted IoU. Slices that the
        propagation did not reach are absent; the object ends before them.
    image : Image
        The image, with its geometry.
    prompt : VolumePrompt
        The prompt as the model saw it.
    window : Window
        Intensity window through which the model saw the image.
    model : LoadedModel
        Provenance: key of the model, SHA-256 of its weights, device and runtime.
    timings : Timings
        Seconds for loading, encoding, decoding and until the first slice, and the number of encoder and decoder calls.
    notes : tuple of str
        Lines that a user should read, for example about how the file was read, or a device that ran out of memory.
    consensus : mapping of int to JitterAgreement
        Slice index -> agreement of slightly different rectangles, if it was requested.
    """

    mask: np.ndarray
    slices: tuple[SliceResult, ...]
    image: Image
    prompt: VolumePrompt
    window: Window
    model: LoadedModel
    timings: Timings
    notes: tuple[str, ...]
    consensus: Mapping[int, JitterAgreement]

    @property
    def axis(self) -> str:
        """Index axis along which slices are counted: "I", "J" or "K"."""
        return self.prompt.axis

    @property
    def volume_ml(self) -> float:
        """Volume of the object in millilitres."""
        spacing = ArrayStack(self.image.voxels, self.image.spacing_ijk, self.axis).spacing
        return float(np.count_nonzero(self.mask) * np.prod(spacing) / 1000)

    @property
    def slices_to_review(self) -> list[int]:
        """Indices of the slices that a person should check, because the confidence is low."""
        return [result.index for result in self.slices if result.needs_review]

    @property
    def affine(self) -> np.ndarray:
        """(4, 4) matrix from voxel indices (i, j, k) to RAS mm."""
        return self.image.ijk_to_ras

    def __repr__(self) -> str:
        where = f"on {len(self.slices)} slices along {self.axis}"
        return f"Segmentation({self.volume_ml:.3g} ml {where}, {self.model.model})"
