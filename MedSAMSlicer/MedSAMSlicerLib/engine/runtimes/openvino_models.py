"""Networks converted for OpenVINO, kept on disk so that each is converted once.

A converted network lies in a folder of its own whose name says what it was made of: weights, precision, release of
OpenVINO, and revision of the conversion. The folder gets its name only when it is complete, so neither a crash nor a
second process can leave half of one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino
import torch
from torch import Tensor, nn

from ..folders import cache_folder

if TYPE_CHECKING:
    from ..models.family import PromptableNetwork

# Raise it when what is converted, or how, changes.
REVISION = 1
ENCODER, DECODER = "encoder.xml", "decoder.xml"


class BoxDecoder(nn.Module):
    """Prompt encoder and mask decoder for boxes alone, with everything that no box changes computed beforehand."""

    def __init__(self, network: PromptableNetwork) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = network.prompt_encoder, network.mask_decoder
        with torch.inference_mode(False), torch.no_grad():
            self.register_buffer("position", network.prompt_encoder.get_dense_pe().clone())
        self.position: Tensor

    def forward(self, embedding: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """(1, channels, h, w) and (n, 4) in network pixels -> logits (n, 4, H, W) and predicted IoU (n, 4).

        The first mask is the decoder's single one, the others are its three for ambiguous prompts.
        """
        sparse, dense = self.prompt_encoder(points=None, boxes=boxes[:, None], masks=None)
        return self.mask_decoder.predict_masks(
            image_embeddings=embedding,
            image_pe=self.position,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )


def converted_folder(
    identity: str, make_network: Callable[[], PromptableNetwork], input_size: int, folder: Path | None = None
) -> Path:
    """Folder with the converted encoder and decoder; converts them if they are not there.

    Args:
        identity: of the weights, in characters that a file name may have.
        make_network: gives the network with its weights, in evaluation mode on the CPU; only called to convert.
        input_size: side of the encoder's square input.
        folder: where converted networks are kept (default: ``openvino`` in the cache folder).
    """
    folder = folder or cache_folder() / "openvino"
    final = folder / f"{identity}-r{REVISION}-{openvino.get_version().split('-')[0]}"
    if not is_complete(final):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as temporary:
            part = Path(temporary, "converted")
            part.mkdir()
            convert(make_network(), input_size, part)
            _put_in_place(part, final)
    return final


def is_complete(folder: Path) -> bool:
    """Whether all files of a converted network are there."""
    return all(
        (folder / name).with_suffix(ending).is_file() for name in (ENCODER, DECODER) for ending in (".xml", ".bin")
    )


def discard(folder: Path) -> None:
    """Remove a converted network that cannot be used, so that it is converted again."""
    shutil.rmtree(folder, ignore_errors=True)


def convert(network: PromptableNetwork, input_size: int, folder: Path) -> None:
    """Write encoder and decoder of a network into an empty folder, in float32."""
    embedding_size = network.prompt_encoder.image_embedding_size
    with torch.inference_mode(False), torch.no_grad():
        image = torch.zeros(1, 3, input_size, input_size)
        encoder = openvino.convert_model(network.image_encoder, example_input=image, input=list(image.shape))
        channels = network.prompt_encoder.embed_dim
        boxes = torch.tensor([[1.0, 1.0, 9.0, 9.0], [2.0, 2.0, 8.0, 8.0]])
        decoder = openvino.convert_model(
            BoxDecoder(network).eval(), example_input=(torch.zeros(1, channels, *embedding_size), boxes)
        )
    decoder.reshape({0: [1, channels, *embedding_size], 1: [-1, 4]})
    openvino.save_model(encoder, str(folder / ENCODER), compress_to_fp16=False)
    openvino.save_model(decoder, str(folder / DECODER), compress_to_fp16=False)


def _put_in_place(part: Path, final: Path) -> None:
    if final.exists() and not is_complete(final):
        discard(final)
    try:
        os.rename(part, final)
    except OSError:
        # Another process was faster: its conversion is as good as ours.
        if not is_complete(final):
            raise


def compile_network(path: Path, threads: int, precision: str) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Make a converted network ready to run on the CPU.

    Args:
        threads: processor threads that it may take.
        precision: "float32" or "bfloat16".

    Returns:
        A function from input arrays to output arrays, which are its own copies.
    """
    core = openvino.Core()
    compiled = core.compile_model(
        str(path),
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned threads wait for their core when another process has it.
            "ENABLE_CPU_PINNING": False,
        },
    )
    request = compiled.create_infer_request()
    outputs = range(len(compiled.outputs))

    def run(inputs: list[np.ndarray]) -> list[np.ndarray]:
        request.infer(dict(enumerate(inputs)))
        return [request.get_output_tensor(n).data.copy() for n in outputs]

    return run
