"""Image, box and model of the benchmark, and the authors' code as its reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch

from demo_data import demo_case
from MedSAMSlicerLib.engine.environment import DEFAULT_MODEL, computing_threads
from MedSAMSlicerLib.engine.inference.embedding_cache import EmbeddingCache
from MedSAMSlicerLib.engine.inference.predictor import Predictor
from MedSAMSlicerLib.engine.intensity import WindowedStack, choose_window
from MedSAMSlicerLib.engine.model_choice import ModelChoice
from MedSAMSlicerLib.engine.models.catalogue import find_model
from MedSAMSlicerLib.engine.models.checkpoints import load_state
from MedSAMSlicerLib.engine.models.family import NetworkPrompt
from MedSAMSlicerLib.engine.models.network import PromptableNetwork
from MedSAMSlicerLib.engine.models.weights import find_weights
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.runtimes.torch_runtime import TorchRuntime
from MedSAMSlicerLib.engine.stack import ArrayStack

AUTHORS_MODEL = "litemedsam"
CHOICE = ModelChoice(DEFAULT_MODEL, device="cpu")
# The tumour of the demo's CT: box in slice pixels, first and last slice.
BOX = Box(318, 333, 404, 398)
FIRST, LAST = 15, 25
# Multiplications and additions for one slice, counted by PyTorch's FLOP counter.
ENCODER_GFLOP, AUTHORS_DECODER_GFLOP, DECODER_GFLOP = 74.9, 3.6, 2.0


def demo_stack(slices: int, side: int | None = None, slice_mm: float | None = None) -> WindowedStack:
    """The demo's CT in the lung window, with its slices repeated.

    Args:
        slices: number of slices.
        side: rows and columns, to which slices are resized by repeating or omitting pixels; None to keep 512.
        slice_mm: distance of slices in mm; None for that of the CT, 5 mm.
    """
    image = sitk.ReadImage(str(demo_case().image))
    voxels = sitk.GetArrayViewFromImage(image)
    voxels = voxels[np.arange(slices) % len(voxels)]
    if side is not None:
        pixels = np.arange(side) * voxels.shape[1] // side
        voxels = voxels[:, pixels][:, :, pixels]
    # Equal slices would be encoded once: make their first pixels differ.
    voxels = np.array(voxels)
    voxels[:, 0, 0] = np.arange(slices) - 1000
    across, down, along = image.GetSpacing()
    stack = ArrayStack(voxels, (across, down, slice_mm or along), "K")
    return WindowedStack(stack, choose_window("lung", stack, "CT"))


def demo_mask(first: int, last: int) -> np.ndarray:
    """bool (slices, rows, columns) reference mask of the tumour on the slices from `first` to `last`."""
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(demo_case().label)))
    return label[first : last + 1] == 1


class AuthorsRuntime(TorchRuntime):
    """PyTorch runtime with the decoder of the package segment-anything."""

    def __init__(self, network: PromptableNetwork) -> None:
        super().__init__(network, "cpu")

    @torch.inference_mode()
    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        assert all(prompt.only_box for prompt in prompts) and origin == (0, 0)
        boxes = torch.from_numpy(np.stack([prompt.box for prompt in prompts if prompt.box is not None]))
        encoder = self._network.prompt_encoder
        sparse, dense = encoder(points=None, boxes=boxes[:, None], masks=None)
        logits, ious = self._network.mask_decoder(
            image_embeddings=torch.from_numpy(embedding)[None],
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        return logits.numpy(), ious.numpy()


def reference_predictor() -> Predictor:
    """The authors' network in PyTorch and float32, without folded layers and without a cache."""
    spec = find_model(AUTHORS_MODEL)
    family = spec.load_family()
    network = family.build_network()
    network.load_state_dict(load_state(spec, find_weights(spec)))
    torch.set_num_threads(computing_threads())
    return Predictor(family, AuthorsRuntime(network), "reference", EmbeddingCache(0))
