"""The rearranged decoder beside the package's own: any weights, any prompts."""

from __future__ import annotations

import pytest
import torch

from MedSAMSlicerLib.engine.models.network import MaskDecoder, TwoWayTransformer
from MedSAMSlicerLib.engine.runtimes.quick_decoder import QuickDecoder

CHANNELS, SIDE = 32, 12


@pytest.fixture(scope="module")
def decoder() -> MaskDecoder:
    torch.manual_seed(3)
    transformer = TwoWayTransformer(depth=2, embedding_dim=CHANNELS, mlp_dim=48, num_heads=4)
    made = MaskDecoder(transformer_dim=CHANNELS, transformer=transformer, iou_head_hidden_dim=16).eval()
    for parameter in made.parameters():
        # Biases that are left at nought would hide that one is forgotten.
        torch.nn.init.normal_(parameter, std=0.3)
    return made.requires_grad_(False)


@pytest.mark.parametrize("prompts", [1, 3])
@pytest.mark.parametrize("tokens", [1, 2, 7, 20])
@pytest.mark.parametrize("dense", ["of each place", "everywhere the same"])
def test_it_gives_the_packages_numbers(decoder: MaskDecoder, prompts: int, tokens: int, dense: str) -> None:
    random = torch.Generator().manual_seed(prompts * 10 + tokens)
    embedding, position = (torch.randn(1, CHANNELS, SIDE, SIDE, generator=random) for _ in range(2))
    sparse = torch.randn(prompts, tokens, CHANNELS, generator=random)
    side = SIDE if dense == "of each place" else 1
    added = torch.randn(prompts if side > 1 else 1, CHANNELS, side, side, generator=random)

    logits, ious = QuickDecoder(decoder)(embedding, position, sparse, added)

    known_logits, known_ious = decoder.predict_masks(
        image_embeddings=embedding,
        image_pe=position,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=added.expand(prompts, -1, SIDE, SIDE),
    )
    assert logits.shape == known_logits.shape == (prompts, 4, 4 * SIDE, 4 * SIDE)
    scale = float(known_logits.std())
    torch.testing.assert_close(logits / scale, known_logits / scale, atol=1e-4, rtol=0)
    torch.testing.assert_close(ious, known_ious, atol=1e-4, rtol=1e-4)


def test_it_does_about_half_of_the_work() -> None:
    """64 x 64 places of 256 channels, as in all families but SAM-Med2D, and a box."""
    from torch.utils.flop_counter import FlopCounterMode

    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    full = MaskDecoder(transformer_dim=256, transformer=transformer).eval().requires_grad_(False)
    quick = QuickDecoder(full)
    embedding, sparse = torch.zeros(1, 256, 64, 64), torch.zeros(1, 2, 256)
    work = []
    for run in (
        lambda: quick(embedding, embedding, sparse, torch.zeros(1, 256, 1, 1)),
        lambda: full.predict_masks(embedding, embedding, sparse, embedding),
    ):
        with FlopCounterMode(display=False) as counter:
            run()
        work.append(counter.get_total_flops())
    assert work[0] < 0.6 * work[1]
