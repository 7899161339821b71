"""What is measured on, and the authors' way that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch

from demo_data import demo_case
from MedSAMSlicerLib.engine.environment import computing_threads
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

MODEL = "litemedsam"
CHOICE = ModelChoice(MODEL, device="cpu")
# The tumour of the demo's CT, and where it lies.
BOX = Box(318, 333, 404, 398)
FIRST, LAST = 15, 25
# Of one slice, counted by torch's FLOP counter: multiplications and additions; the decoder as its authors run it, and ours.
ENCODER_GFLOP, AUTHORS_DECODER_GFLOP, DECODER_GFLOP = 74.9, 3.6, 2.0


def stack_of(slices: int, side: int | None = None, slice_mm: float | None = None) -> WindowedStack:
    """The demo's CT through its lung window, its slices again and again until there are enough of them.

    Args:
        side: of square slices, made of the CT's by repeating or leaving out pixels; None: as they are.
        slice_mm: how far apart slices are said to be; None: as far as the CT's, 5 mm.
    """
    image = sitk.ReadImage(str(demo_case().image))
    voxels = sitk.GetArrayViewFromImage(image)
    voxels = voxels[np.arange(slices) % len(voxels)]
    if side is not None:
        pixels = np.arange(side) * voxels.shape[1] // side
        voxels = voxels[:, pixels][:, :, pixels]
    # Slices that come back are encoded once only: each gets a corner of its own.
    voxels = np.array(voxels)
    voxels[:, 0, 0] = np.arange(slices) - 1000
    across, down, along = image.GetSpacing()
    stack = ArrayStack(voxels, (across, down, slice_mm or along), "K")
    return WindowedStack(stack, choose_window("lung", stack, "CT"))


def truth_of(first: int, last: int) -> np.ndarray:
    """bool (slices, rows, columns): the tumour as a person drew it."""
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(demo_case().label)))
    return label[first : last + 1] == 1


class AuthorsRuntime(TorchRuntime):
    """PyTorch with the authors' own decoder, of the package segment-anything, instead of ours."""

    def __init__(self, network: PromptableNetwork) -> None:
        super().__init__(network, "cpu")

    @torch.inference_mode()
    def decode(
        self, embedding: np.ndarray, prompts: Sequence[NetworkPrompt], multimask: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        assert all(prompt.only_box for prompt in prompts)
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
    """The authors' network as they run it: PyTorch, float32, nothing merged, nothing kept."""
    spec = find_model(MODEL)
    family = spec.load_family()
    network = family.build_network()
    network.load_state_dict(load_state(spec, find_weights(spec)))
    torch.set_num_threads(computing_threads())
    return Predictor(family, AuthorsRuntime(network), "reference", EmbeddingCache(0))
