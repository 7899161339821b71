"""Converts the networks of a model for OpenVINO: ``python -m MedSAMSlicerLib.engine.jobs.convert_openvino``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import openvino
import torch
from torch import Tensor, nn

from ..environment import computing_threads
from ..models.catalogue import find_model
from ..models.weights import verify_weights
from ..runtimes.openvino_models import DECODER, ENCODER
from ..runtimes.quick_decoder import QuickDecoder
from .job import add_attached, run_job

if TYPE_CHECKING:
    from ..models.network import PromptableNetwork


class BoxDecoder(nn.Module):
    """Prompt encoder and mask decoder for boxes only, with everything precomputed that does not depend on the box."""

    def __init__(self, network: PromptableNetwork) -> None:
        super().__init__()
        self.prompt_encoder, self.decoder = network.prompt_encoder, QuickDecoder(network.mask_decoder)
        with torch.inference_mode(False), torch.no_grad():
            self.register_buffer("position", network.prompt_encoder.get_dense_pe().clone())
            self.register_buffer("no_mask", network.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).clone())
        self.position: Tensor
        self.no_mask: Tensor

    def forward(self, embedding: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Predict masks for n boxes on one slice.

        Args:
            embedding: (1, channels, h, w).
            boxes: (n, 4), x0, y0, x1, y1 in pixels of the network's input.

        Returns:
            Logits (n, 4, H, W) and predicted IoU (n, 4). The first mask is the decoder's single one, the others are its
            three for ambiguous prompts.
        """
        sparse, _dense = self.prompt_encoder(points=None, boxes=boxes[:, None], masks=None)
        return self.decoder(embedding, self.position, sparse, self.no_mask)


def convert(network: PromptableNetwork, input_size: int, folder: Path) -> None:
    """Convert encoder and decoder of a network and write them to an empty folder, in float32."""
    embedding_size = network.prompt_encoder.image_embedding_size
    with torch.inference_mode(False), torch.no_grad():
        image = torch.zeros(1, 3, input_size, input_size)
        encoder = openvino.convert_model(_traced(network.image_encoder, image), input=list(image.shape))
        openvino.save_model(encoder, str(folder / ENCODER), compress_to_fp16=False)
        # Free the encoder first: with both in memory, the peak is higher by the size of the smaller one.
        del encoder
        channels = network.prompt_encoder.embed_dim
        boxes = torch.tensor([[1.0, 1.0, 9.0, 9.0], [2.0, 2.0, 8.0, 8.0]])
        example = (torch.zeros(1, channels, *embedding_size), boxes)
        decoder = openvino.convert_model(_traced(BoxDecoder(network).eval(), example))
    decoder.reshape({0: [1, channels, *embedding_size], 1: [-1, 4]})
    openvino.save_model(decoder, str(folder / DECODER), compress_to_fp16=False)


def _traced(module: nn.Module, example: Tensor | tuple[Tensor, ...]) -> object:
    with warnings.catch_warnings():
        # Warnings about sizes that become constants, which is intended, and about the future of tracing.
        warnings.simplefilter("ignore")
        # The check would run the network twice more; tests compare converted networks with PyTorch instead.
        return torch.jit.trace(module, example, check_trace=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert one model and return the exit status. Sends the lines of `engine.jobs.job` only."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    add_attached(parser)
    parser.add_argument("--model", required=True, metavar="KEY")
    parser.add_argument("--weights", required=True, type=Path, metavar="FILE")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    return run_job(lambda _send: _convert(options.model, options.weights, options.output), options.attached)


def _convert(key: str, weights: Path, folder: Path) -> None:
    from ..models.checkpoints import load_network

    spec = find_model(key)
    verify_weights(spec, weights)
    torch.set_num_threads(computing_threads())
    family = spec.load_family()
    convert(load_network(spec, family, weights).eval().requires_grad_(False), family.input_size, folder)


if __name__ == "__main__":
    sys.exit(main())
