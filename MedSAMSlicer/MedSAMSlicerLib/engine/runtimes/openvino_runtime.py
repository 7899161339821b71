"""Runs LiteMedSAM with OpenVINO, without PyTorch: the same results in float32, in half of the time.

Its networks are written with OpenVINO's operators: an encoder for each size that is needed, and a decoder for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import openvino

from ..model_choice import BFLOAT16_CPU, INT8_CPU
from ..models.litemedsam import PIXELS_PER_TOKEN
from .devices import OPENVINO_NAMES
from .openvino_decoder import decoder, ordered, positions
from .openvino_encoder import encoder
from .openvino_int8 import REVISION, product_in_int8, stored_ranges
from .openvino_layers import Weights
from .openvino_network import CompiledNetwork, NetworkSizes, core

if TYPE_CHECKING:
    from ..models.family import NetworkPrompt

_encoders: WeakValueDictionary[tuple[str, str, int], NetworkSizes] = WeakValueDictionary()
"""Encoders in use, by weights, device and number of threads: whoever goes from a model to one with another decoder compiles
none."""
_PRECISIONS = {"cpu": "f32", BFLOAT16_CPU: "bf16", INT8_CPU: "int8"}
MOST_TOKENS = 8192
"""Most tokens of embeddings that are decoded in one call, counted for each prompt: two of whole slices, which take 80 MB. Further
ones in the same call are no faster."""


class OpenVINORuntime:
    """Runs LiteMedSAM, whose prompts are boxes.

    Args:
        arrays: parameters, as `weight_arrays.read_arrays` returns them.
        input_size: side of the square that coordinates of boxes refer to, in pixels.
        threads: number of processor threads.
        device: "cpu" for float32, or one of `OPENVINO_DEVICES` to run the encoder there, in the precision that suits the
            device. The decoder, a small part of the work, always runs on the processor in float32, because its logits become
            contours.
        encoder_identity: name of the encoder's weights: a runtime of the same name that exists shares its compiled encoders;
            empty to share none.

    Raises:
        RuntimeError: OpenVINO does not know the device.
    """

    name = "openvino"
    encodes_parts = True
    # One slice uses all cores.
    slices_at_once = 1

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        input_size: int,
        threads: int,
        device: str = "cpu",
        encoder_identity: str = "",
    ) -> None:
        on, precision = OPENVINO_NAMES[device], _PRECISIONS.get(device)
        # Loads the code for the device, so that it fails here if it cannot be used.
        core().get_property(on, "FULL_DEVICE_NAME")
        self.device = device
        self.version = f"{openvino.get_version()} {precision or on}"
        if precision == "int8":
            self.version += f" revision {REVISION}"
        weights = Weights(dict(arrays))
        image_encoder = weights.part("image_encoder")
        if precision == "int8":
            image_encoder = replace(image_encoder, multiply=product_in_int8(stored_ranges()))

        def compiled(height: int, width: int) -> CompiledNetwork:
            network = encoder(image_encoder, height, width)
            image_encoder.release()
            return CompiledNetwork(network, threads, on, "f32" if precision == "int8" else precision)

        shared = (encoder_identity, device, threads)
        existing = _encoders.get(shared) if encoder_identity else None
        if existing is not None:
            image_encoder.release()
        self._encoders = existing or NetworkSizes(compiled)
        if encoder_identity:
            _encoders[shared] = self._encoders
        self._decoder_of = cache(
            lambda multimask: CompiledNetwork(decoder(weights, input_size, multimask), threads, keeps_memory=True)
        )
        self._positions = positions(weights, input_size // PIXELS_PER_TOKEN)

    def encode(self, prepared: np.ndarray) -> np.ndarray:
        """See `Runtime.encode`."""
        _channels, height, width = prepared.shape
        return self._encoders.run(height, width, [prepared[None]])[0][0]

    def encode_many(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """See `Runtime.encode_many`."""
        return [self.encode(one) for one in prepared]

    def decode(
        self,
        embedding: np.ndarray,
        prompts: Sequence[NetworkPrompt],
        multimask: bool = False,
        origin: tuple[int, int] = (0, 0),
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Runtime.decode`."""
        boxes = [prompt.box for prompt in prompts if prompt.only_box and prompt.box is not None]
        if len(boxes) < len(prompts):
            raise ValueError("LiteMedSAM takes boxes and nothing else")
        (row, column), (height, width) = origin, embedding.shape[1:]
        part = self._positions[row : row + height, column : column + width]
        tokens = embedding.reshape(1, len(embedding), -1)
        position = part.reshape(1, height * width, -1)
        decode, at_once = self._decoder_of(multimask), max(1, MOST_TOKENS // (height * width))
        found = [
            decode([tokens, position, np.stack(boxes[n : n + at_once]).astype(np.float32, copy=False)])
            for n in range(0, len(boxes), at_once)
        ]
        logits, ious = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return ordered(logits, height, width), ious
