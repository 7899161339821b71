"""Import of adapter files: copies them to the weights of this computer, from where they are models like all others."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..atomic_files import replace_atomically
from ..errors import WeightsError
from ..models.adapter import ENDING, read_adapter
from ..models.catalogue import ModelSpec, base_of, checked_key, find_model
from ..models.imported_adapters import ImportedAdapter, imported_path, write_record
from ..models.model_files import check_adapter
from ..models.weights import find_weights, verify_weights
from ..propagation.adapted_settings import adapted_settings


def import_adapter(source: Path, key: str | None = None) -> ModelSpec:
    """Copy an adapter file into the cache folder, after verifying it; its checksum is recorded.

    An adapter that was imported with the same key is replaced.

    Args:
        key: key of the model that it makes; None for the name of the file without its ending.

    Returns:
        The model.

    Raises:
        InputError: the key is that of a model in the catalogue, or has other characters.
        WeightsError: the file is no adapter of weights that are on this computer, or cannot be copied.
    """
    key = checked_key(source.name.removesuffix(ENDING) if key is None else key)
    adapter = read_adapter(source)
    said, base = adapter.metadata, base_of(adapter)
    check_adapter(adapter, base, verify_weights(base, find_weights(base)))
    adapted_settings(said.settings)
    final = imported_path(key)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(final) as part:
            shutil.copyfile(source, part)
            if read_adapter(part).sha256 != adapter.sha256:
                raise WeightsError(f"{source} changed while it was copied to {final.parent}: import it again")
        write_record(ImportedAdapter(key, base.key, adapter.sha256, said.title, said.licence, said.description, final))
    except OSError as error:
        raise WeightsError(
            f"{final.name} cannot be written to {final.parent} ({error.strerror or error}): "
            "make the folder writable, or free some space"
        ) from error
    return find_model(key)
