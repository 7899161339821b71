"""MedSAM: SAM's ViT-B at 1024x1024, fine-tuned on medical images; prompted by boxes.

Steps follow the authors' ``MedSAM_Inference.py`` (bowang-lab/MedSAM).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT
from torch import nn

from ..prompts import Box
from ..resize import spline_resize
from .family import EMBEDDING_CHANNELS, Family, PromptableNetwork, min_max, rgb

INPUT_SIZE = 1024
PATCH_SIZE = 16


class MedSAM(Family):
    input_size = INPUT_SIZE

    def build_network(self) -> PromptableNetwork:
        encoder = ImageEncoderViT(
            img_size=INPUT_SIZE,
            patch_size=PATCH_SIZE,
            embed_dim=768,
            depth=12,
            num_heads=12,
            mlp_ratio=4,
            out_chans=EMBEDDING_CHANNELS,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=(2, 5, 8, 11),
        )
        return PromptableNetwork(encoder, INPUT_SIZE, INPUT_SIZE // PATCH_SIZE)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        # The aspect ratio is not kept: the authors stretch every slice to the square.
        resized = min_max(rgb(spline_resize(image, INPUT_SIZE, INPUT_SIZE)))
        return np.ascontiguousarray(resized.transpose(2, 0, 1))

    def network_box(self, box: Box, rows: int, columns: int) -> np.ndarray:
        scale = np.array([columns, rows, columns, rows])
        return (np.array(box.xyxy) / scale * INPUT_SIZE).astype(np.float32)

    def slice_scores(self, logits: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        # Probabilities, not logits, are interpolated here: the order changes the contour.
        probability = torch.sigmoid(logits)
        return F.interpolate(probability, size=(rows, columns), mode="bilinear", align_corners=False)[:, 0] - 0.5


FAMILY = MedSAM()
