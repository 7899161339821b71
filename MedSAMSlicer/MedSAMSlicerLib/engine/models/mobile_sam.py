"""MobileSAM: SAM with a TinyViT as image encoder, which imitates ViT-H in a fraction of the time.

Prepares slices and prompts as SAM does; the authors' ``SamPredictor`` (ChaoningZhang/MobileSAM) is SAM's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .sam import INPUT_SIZE, PreparedAsSam
from .vit import PATCH_SIZE

if TYPE_CHECKING:
    from .network import PromptableNetwork

# Two convolutions with this kernel and stride embed patches of 4 x 4 pixels.
KERNEL, STRIDE = 3, 2
# The weights file holds the classifier of ImageNet that TinyViT was trained with first.
CLASSES = 1000


class MobileSAM(PreparedAsSam):
    """MobileSAM.

    Args:
        input_size: side of the square network input in pixels.
    """

    def __init__(self, input_size: int = INPUT_SIZE) -> None:
        super().__init__(input_size)

    def build_network(self) -> PromptableNetwork:
        from .network import PromptableNetwork
        from .tinyvit import TinyViT

        return PromptableNetwork(TinyViT(KERNEL, STRIDE, CLASSES), self.input_size, self.input_size // PATCH_SIZE)

    def fold(self, network: PromptableNetwork) -> None:
        from .tinyvit import TinyViT

        assert isinstance(network.image_encoder, TinyViT)
        network.image_encoder.fold()


FAMILY = MobileSAM()
