"""Adapter files for tests: of LiteMedSAM's decoder, changing nothing or a little."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from MedSAMSlicerLib.engine.models.adapter import Adapter, AdapterMetadata, write_adapter
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE
from MedSAMSlicerLib.engine.models.imported_adapters import ImportedAdapter, imported_path, write_record

UPSCALING, TOKENS = "mask_decoder.output_upscaling.0.weight", "prompt_encoder.point_embeddings.2.weight"
MLP = "mask_decoder.transformer.layers.0.mlp.lin1.weight"


def changes(size: float) -> dict[str, np.ndarray]:
    """Changes of three parameters, of all kinds: a difference, a product, and a product for a transposed convolution."""
    random = np.random.default_rng(3)

    def some(*shape: int) -> np.ndarray:
        return (size * random.normal(size=shape)).astype(np.float32)

    return {
        f"{TOKENS}.delta": some(1, 256).astype(np.float16),
        f"{MLP}.down": some(2, 256),
        f"{MLP}.up": some(2048, 2),
        f"{UPSCALING}.down": some(3, 64 * 2 * 2).astype(np.float16),
        f"{UPSCALING}.up": some(256, 3),
    }


def metadata(**changed: Any) -> AdapterMetadata:
    """Of an adapter of the authors' LiteMedSAM."""
    sha256 = CATALOGUE["litemedsam"].weights.sha256
    return AdapterMetadata(
        **{"base": "litemedsam", "base_sha256": sha256, "title": "Our livers", "licence": "CC-BY-4.0", **changed}
    )


def adapter_file(path: Path, tensors: Mapping[str, np.ndarray] | None = None, **changed: Any) -> Adapter:
    """Write an adapter with these tensors; by default one that changes nothing."""
    return write_adapter(path, changes(0.0) if tensors is None else tensors, metadata(**changed))


def imported_adapter(key: str, **changed: Any) -> Adapter:
    """An adapter in the cache folder with its record, as if the user had imported it."""
    path = imported_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    adapter = adapter_file(path, **changed)
    said = adapter.metadata
    write_record(ImportedAdapter(key, said.base, adapter.sha256, said.title, said.licence, said.description, path))
    return adapter
