"""``medsam-slicer models``: which models are there; import, verify, download and measure them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..engine.environment import DEFAULT_MODEL
from ..engine.errors import InputError, WeightsError
from ..engine.jobs.adapter_import import import_adapter
from ..engine.jobs.device_check import seconds_per_slice
from ..engine.model_choice import ModelChoice
from ..engine.models.adapter import ENDING
from ..engine.models.catalogue import PROMPT_KINDS, ModelSpec, all_models, find_model
from ..engine.models.downloads import download_weights
from ..engine.models.model_files import verified_files
from ..engine.models.weights import find_weights, import_weights
from .console import print_line
from .log_options import add_log_options
from .measurements import keep_measurement, known_measurements
from .model_options import add_device_arguments

DESCRIPTION = "Lists the models and the state of their weights; imports, verifies, downloads or measures them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this subcommand."""
    add_log_options(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    actions.add_parser("list", help="models, whether their weights are here, and what was measured (the default)")
    measuring = actions.add_parser("measure", help="time one slice with each model whose weights are here")
    measuring.add_argument("key", nargs="?", metavar="KEY", help="this model only")
    add_device_arguments(measuring)
    actions.add_parser("verify", help="compute the checksums of all weights that are here")
    importing = actions.add_parser("import", help="copy a weights file or an adapter into the cache folder")
    importing.add_argument("file", metavar="FILE")
    importing.add_argument(
        "--as",
        dest="key",
        metavar="KEY",
        help=f"the model that the file belongs to; of an adapter ({ENDING}) its name (default: that of the file)",
    )
    importing.add_argument(
        "--own",
        action="store_true",
        help="a checkpoint of your own: only its network is checked, its checksum recorded",
    )
    download = actions.add_parser("download", help="download the weights of a model into the cache folder")
    download.add_argument("key", metavar="KEY")
    for action in actions.choices.values():
        add_log_options(action)


def run(options: argparse.Namespace) -> None:
    """Run the requested action; without one, list the models. Raises MedSAMError."""
    if options.action == "import":
        _import(options)
    elif options.action == "download":
        _download(find_model(options.key))
    elif options.action == "measure":
        _measure(options)
    elif options.action == "verify":
        _verify()
    else:
        _list()


def _list() -> None:
    for spec in all_models():
        default = " (default)" if spec.key == DEFAULT_MODEL else ""
        prompts = ", ".join(kind for kind in PROMPT_KINDS if kind in spec.prompts)
        size = f"{spec.input_size} x {spec.input_size}"
        adapted = f", adapted from {spec.base_spec.title}" if spec.base else ""
        print_line(
            f"{spec.key}{default}: {spec.title}{adapted}, {spec.parameters / 1e6:.1f} M parameters, input {size}"
        )
        print_line(f"  prompts: {prompts}; licence: {spec.licence}; weights from {spec.weights.origin}")
        if spec.description:
            print_line(f"  {spec.description}")
        print_line(f"  cite: {spec.citation}")
        presence, sha256 = _presence(spec)
        print_line(f"  weights: {presence}")
        if sha256 is not None:
            print_line(f"  seconds a slice: {_seconds_of(spec, sha256)}")


def _presence(spec: ModelSpec) -> tuple[str, str | None]:
    """What there is to say of the model's weights, and their checksum if they can be used."""
    try:
        path = find_weights(spec)
    except WeightsError:
        return f"not here; {spec.how_to_get}", None
    try:
        files = verified_files(spec)
    except WeightsError as error:
        return f"{path}, not to be used: {error}", None
    adapter = f", with {files.adapter.path}, verified" if files.adapter is not None else ""
    return f"{path}, verified{adapter}", files.sha256


def _seconds_of(spec: ModelSpec, sha256: str) -> str:
    found = [one for one in known_measurements() if (one.model, one.weights_sha256) == (spec.key, sha256)]
    if not found:
        return f"not measured yet ('medsam-slicer models measure {spec.key}')"
    return ", ".join(f"{one.seconds:.2g} on {one.device} with {one.runtime}" for one in found) + " (this computer)"


def _measure(options: argparse.Namespace) -> None:
    from ..engine.serving.service import SegmentationService

    specs = all_models() if options.key is None else [find_model(options.key)]
    for spec in specs:
        try:
            find_weights(spec)
        except WeightsError:
            if options.key is not None:
                raise
            continue
        # It keeps no embeddings, so that each repetition encodes; one for each model, so that memory is free again.
        service = SegmentationService(cache_bytes=0)
        choice = ModelChoice(spec.key, device=options.device, runtime=options.runtime)
        loaded = service.load(choice)
        seconds = keep_measurement(loaded, seconds_per_slice(service, choice)).seconds
        print_line(f"{spec.key}: {seconds:.2g} s a slice on {loaded.device} with {loaded.runtime}")


def _import(options: argparse.Namespace) -> None:
    source = Path(options.file)
    if source.suffix == ENDING:
        spec = import_adapter(source, options.key)
        assert spec.adapter is not None
        print_line(f"Imported as model {spec.key}, checksum recorded: {spec.adapter.path}")
        return
    if options.key is None:
        raise InputError(f"which model {source} belongs to is not said: give its key with --as")
    spec = find_model(options.key)
    placed = import_weights(spec, source, options.own)
    if spec.weights.checksum is None or options.own:
        print_line(f"Imported, checksum recorded: {placed}")
    else:
        print_line(f"Imported and verified: {placed}")


def _verify() -> None:
    """Checksums of all weights that are here; the first wrong one is the error, after all have been looked at."""
    wrong: list[WeightsError] = []
    for spec in all_models():
        try:
            path = find_weights(spec)
        except WeightsError:
            print_line(f"{spec.key}: not here")
            continue
        try:
            files = verified_files(spec)
            adapter = f", adapter sha256 {files.adapter.sha256}" if files.adapter is not None else ""
            print_line(f"{spec.key}: verified, sha256 {files.sha256}{adapter}, {path}")
        except WeightsError as error:
            print_line(f"{spec.key}: WRONG, {path}")
            wrong.append(error)
    if wrong:
        raise wrong[0]


def _download(spec: ModelSpec) -> None:
    path = download_weights(spec, progress=sys.stderr.isatty())
    print_line(f"Downloaded and verified: {path}")
