"""``medsam-slicer models``: which models are there; import, verify and download weights."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from .cli_output import say
from .engine.errors import WeightsError
from .engine.models.catalogue import CATALOGUE, DEFAULT_MODEL, PROMPT_KINDS, ModelSpec, find_model
from .engine.models.weights import download_weights, find_weights, how_to_get, import_weights, verify_weights


def run_models(options: argparse.Namespace) -> None:
    """Run the action that was asked for; "list" if none was. Raises MedSAMError."""
    if options.action == "import":
        _import(find_model(options.key), Path(options.file), options.own)
    elif options.action == "download":
        _download(find_model(options.key))
    elif options.action == "verify":
        _verify()
    else:
        _list()


def _list() -> None:
    for spec in CATALOGUE.values():
        default = " (default)" if spec.key == DEFAULT_MODEL else ""
        prompts = ", ".join(kind for kind in PROMPT_KINDS if kind in spec.prompts)
        size = f"{spec.input_size} x {spec.input_size}"
        say(f"{spec.key}{default}: {spec.title}, {spec.parameters / 1e6:.1f} M parameters, input {size}")
        say(f"  prompts: {prompts}; licence: {spec.licence}; weights from {spec.weights.origin}")
        say(f"  cite: {spec.citation}")
        say(f"  weights: {_presence(spec)}")


def _presence(spec: ModelSpec) -> str:
    try:
        path = find_weights(spec)
    except WeightsError:
        return f"not here; {how_to_get(spec)}"
    try:
        verify_weights(spec, path)
    except WeightsError as error:
        return f"{path}, not to be used: {error}"
    return f"{path}, verified"


def _import(spec: ModelSpec, source: Path, own: bool) -> None:
    placed = import_weights(spec, source, own)
    if spec.weights.checksum is None or own:
        say(f"Imported, checksum recorded: {placed}")
    else:
        say(f"Imported and verified: {placed}")


def _verify() -> None:
    """Checksums of all weights that are here; the first wrong one is the error, after all have been looked at."""
    wrong: list[WeightsError] = []
    for spec in CATALOGUE.values():
        try:
            path = find_weights(spec)
        except WeightsError:
            say(f"{spec.key}: not here")
            continue
        try:
            say(f"{spec.key}: verified, sha256 {verify_weights(spec, path)}, {path}")
        except WeightsError as error:
            say(f"{spec.key}: WRONG, {path}")
            wrong.append(error)
    if wrong:
        raise wrong[0]


def _download(spec: ModelSpec) -> None:
    with tqdm(unit="B", unit_scale=True, desc=spec.weights.filename, disable=None) as bar:

        def show(done: int, total: int) -> bool:
            bar.total = total or None
            bar.update(done - bar.n)
            return True

        path = download_weights(spec, show)
    say(f"Downloaded and verified: {path}")
