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
from .job import add_attached, run_task

if TYPE_CHECKING:
    from ..models.network import PromptableNetwork


class BoxDecoder(nn.Module):
    """Prompt encoder and mask decoder for boxes alone, with everything that no box changes computed beforehand."""

    def __init__(self, network: PromptableNetwork) -> None:
        super().__init__()
        self.prompt_encoder, self.decoder = network.prompt_encoder, QuickDecoder(network.mask_decoder)
        with torch.inference_mode(False), torch.no_grad():
            self.register_buffer("position", network.prompt_encoder.get_dense_pe().clone())
            self.register_buffer("no_mask", network.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1).clone())
        self.position: Tensor
        self.no_mask: Tensor

    def forward(self, embedding: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """(1, channels, h, w) and (n, 4) in network pixels -> logits (n, 4, H, W) and predicted IoU (n, 4).

        The first mask is the decoder's single one, the others are its three for ambiguous prompts.
        """
        sparse, _dense = self.prompt_encoder(points=None, boxes=boxes[:, None], masks=None)
        return self.decoder(embedding, self.position, sparse, self.no_mask)


def convert(network: PromptableNetwork, input_size: int, folder: Path) -> None:
    """Write encoder and decoder of a network into an empty folder, in float32."""
    embedding_size = network.prompt_encoder.image_embedding_size
    with torch.inference_mode(False), torch.no_grad():
        image = torch.zeros(1, 3, input_size, input_size)
        encoder = openvino.convert_model(_traced(network.image_encoder, image), input=list(image.shape))
        openvino.save_model(encoder, str(folder / ENCODER), compress_to_fp16=False)
        # One network at a time: with both in memory the peak is higher by the size of the larger one.
        del encoder
        channels = network.prompt_encoder.embed_dim
        boxes = torch.tensor([[1.0, 1.0, 9.0, 9.0], [2.0, 2.0, 8.0, 8.0]])
        example = (torch.zeros(1, channels, *embedding_size), boxes)
        decoder = openvino.convert_model(_traced(BoxDecoder(network).eval(), example))
    decoder.reshape({0: [1, channels, *embedding_size], 1: [-1, 4]})
    openvino.save_model(decoder, str(folder / DECODER), compress_to_fp16=False)


def _traced(module: nn.Module, example: Tensor | tuple[Tensor, ...]) -> object:
    with warnings.catch_warnings():
        # Of sizes that a trace takes as constant, which they are, and of torch's plans for tracing.
        warnings.simplefilter("ignore")
        # Without its check, which runs the network twice more: parity tests hold what was converted against torch.
        return torch.jit.trace(module, example, check_trace=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert one model; returns the exit status. Lines as of `engine.jobs.job`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    add_attached(parser)
    parser.add_argument("--model", required=True, metavar="KEY")
    parser.add_argument("--weights", required=True, type=Path, metavar="FILE")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    options = parser.parse_args(arguments)
    return run_task(lambda _say: _convert(options.model, options.weights, options.output), options.attached)


def _convert(key: str, weights: Path, folder: Path) -> None:
    from ..models.checkpoints import load_network

    spec = find_model(key)
    verify_weights(spec, weights)
    torch.set_num_threads(computing_threads())
    family = spec.load_family()
    convert(load_network(spec, family, weights).eval().requires_grad_(False), family.input_size, folder)


if __name__ == "__main__":
    sys.exit(main())
