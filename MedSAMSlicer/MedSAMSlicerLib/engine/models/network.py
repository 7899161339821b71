"""The network that all SAM-like families are: an image encoder of their own with SAM's other two parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from ..errors import WeightsError
from ..i18n import tr as _
from .sam_parts import MaskDecoder, PromptEncoder, TwoWayTransformer
from .weights import another_model, how_to_get, load_state, titles_of

if TYPE_CHECKING:
    from .catalogue import ModelSpec
    from .family import Family

EMBEDDING_CHANNELS = 256


class PromptableNetwork(nn.Module):
    """Image encoder, prompt encoder and mask decoder under the names that all SAM-like weights files use."""

    def __init__(self, image_encoder: nn.Module, input_size: int, embedding_size: int) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(
            embed_dim=EMBEDDING_CHANNELS,
            image_embedding_size=(embedding_size, embedding_size),
            input_image_size=(input_size, input_size),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=EMBEDDING_CHANNELS, mlp_dim=2048, num_heads=8),
            transformer_dim=EMBEDDING_CHANNELS,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        )


def load_network(spec: ModelSpec, family: Family, path: Path) -> PromptableNetwork:
    """The network with the weights of a verified file, on the CPU.

    Raises:
        WeightsError: the file holds something else, or another model's weights; then the message names it.
    """
    network = family.build_network()
    state = load_state(spec, path)
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if ours != theirs:
        known_as = [title for title in titles_of(theirs) if title != spec.title]
        found = another_model(known_as, spec) if known_as else _difference(ours, theirs)
        raise WeightsError(
            _("{path} holds another network than {model}: {found}; {help}").format(
                path=path, model=spec.title, found=found, help=how_to_get(spec)
            )
        )
    # The tensors are taken as they are: a copy would double the memory of a large model.
    network.load_state_dict(state, assign=True)
    family.fold(network)
    return network


def _difference(ours: dict[str, tuple[int, ...]], theirs: dict[str, tuple[int, ...]]) -> str:
    other = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    return _("{count} tensors are missing, too many or of another shape, such as {name}").format(
        count=len(other), name=other[0]
    )
