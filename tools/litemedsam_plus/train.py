#!/usr/bin/env python3
"""Trains the mask decoder of LiteMedSAM further, as LiteMedSAM+ was trained, and writes the changes as an adapter.

    python tools/litemedsam_plus/train.py OWN.csv [OTHERS.csv] --output NAME.medsam [--device cuda]

The tables are those of `medsam-slicer evaluate`. Half of what is learned comes from OWN.csv, however large the other table
is. The same tables, settings, device, libraries and number of threads give the same file, bit for bit.

Embeddings of all slices stay in float16 on the device: 2 MB for each slice and variant, 36 GB for 4,256 slices and 4 variants.
On a CPU a step needs 0.1 GB more for each sequence of a batch. Fewer variants and smaller batches need less. The confidence of
slices is that of LiteMedSAM, which is not calibrated for the new decoder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "MedSAMSlicer"), str(ROOT / "tools")]

from litemedsam_plus.settings import PROPAGATION, Settings  # noqa: E402
from litemedsam_plus.taught import Encode, Taught, taught  # noqa: E402
from litemedsam_plus.training import Training  # noqa: E402
from litemedsam_plus.volumes import Volume, read_volumes  # noqa: E402
from MedSAMSlicerLib.engine.environment import computing_threads  # noqa: E402
from MedSAMSlicerLib.engine.errors import InputError, MedSAMError  # noqa: E402
from MedSAMSlicerLib.engine.models.adapter import ENDING, PARTS, AdapterMetadata, write_adapter  # noqa: E402
from MedSAMSlicerLib.engine.models.catalogue import checked_key, find_model  # noqa: E402
from MedSAMSlicerLib.engine.models.checkpoints import NetworkFile  # noqa: E402
from MedSAMSlicerLib.engine.models.model_files import check_adapter, verified_files  # noqa: E402
from MedSAMSlicerLib.engine.models.network import PromptableNetwork  # noqa: E402
from MedSAMSlicerLib.evaluation.cases import Case, read_cases  # noqa: E402
from MedSAMSlicerLib.io.output_files import cannot_write, check_output  # noqa: E402
from MedSAMSlicerLib.learning.low_rank import adapter_tensors  # noqa: E402

BASE = "litemedsam"
DEVICES = ("cpu", "cuda")
OWN_USE = "own use only"
_STEPS_PER_LINE = 50


def train(
    tables: Sequence[Sequence[Case]], network: NetworkFile, settings: Settings, device: str
) -> dict[str, np.ndarray]:
    """Train with one or two tables of cases.

    Returns:
        Tensors of the adapter.

    Raises:
        InputError: a case is not valid, or no object is large enough to learn from.
    """
    torch.set_num_threads(computing_threads())
    if device == "cuda":
        _use_deterministic_gpu()
    volumes = _volumes(tables, network, settings)
    built = network.build()
    # Before the encoder is folded, which leaves the decoder as it is.
    arrays = {name: value.numpy() for name, value in built.state_dict().items() if name.startswith(PARTS)}
    lessons = taught(volumes, network.family, _encoder(built, network, device), device, settings)
    if not lessons.tracks:
        smallest = settings.sequences.smallest_area
        raise InputError(f"no object reaches {smallest} pixels of the network's input: add larger ones to the table")
    training = Training(arrays, lessons, settings, device)
    _tell_what_is_learned(lessons, training)
    return adapter_tensors(training.run(_progress), {})


def _use_deterministic_gpu() -> None:
    # Read when cuBLAS is used first.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Attention by matrix products: the gradients of the faster ways depend on the order in which threads end.
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.set_float32_matmul_precision("high")


def _volumes(tables: Sequence[Sequence[Case]], network: NetworkFile, settings: Settings) -> list[Volume]:
    side = network.family.input_size
    found = [
        volume
        for number, cases in enumerate(tables)
        for volume in read_volumes(cases, side, number > 0, settings.images)
        if len(volume.truths)
    ]
    if not found:
        raise InputError(
            "nothing is left of any object at the size of the network's input: add larger ones to the table"
        )
    print(f"{len(found)} images, {sum(len(volume.images) for volume in found)} slices", flush=True)
    return found


def _encoder(built: PromptableNetwork, network: NetworkFile, device: str) -> Encode:
    network.family.fold(built)
    # A GPU computes with bfloat16 several times as fast, and the decoder learns with embeddings of that precision.
    number = torch.bfloat16 if device == "cuda" else torch.float32
    encoder = built.image_encoder.to(device, number)

    def encode(inputs: Tensor) -> Tensor:
        return encoder(inputs.to(number))

    return encode


def _tell_what_is_learned(lessons: Taught, training: Training) -> None:
    pairs = 0 if training.remembered is None else len(training.remembered)
    counts = f"{len(lessons.embeddings)} embeddings, {len(lessons.tracks)} objects in them"
    print(f"{counts}, {pairs} pairs of masks that must not be forgotten", flush=True)


def _progress(step: int, dice: list[float]) -> None:
    if step % _STEPS_PER_LINE == 0:
        print(f"step {step}: Dice {', '.join(f'{value:.3f}' for value in dice)}", flush=True)


def describe(tables: Sequence[Sequence[Case]]) -> str:
    """What the model says it was trained with: numbers, and nothing that tells who the patients are."""
    cases = [case for table in tables for case in table]
    images = {str(case.image): case.modality for case in cases}
    modalities = ", ".join(f"{name} {count}" for name, count in sorted(Counter(images.values()).items()))
    return f"Decoder of LiteMedSAM trained further with {len(cases)} contours in {len(images)} images ({modalities})."


def run(options: argparse.Namespace) -> None:
    """Train, and write the adapter.

    Raises:
        MedSAMError: an argument, a table, a case or the weights are not valid, or the output cannot be written.
    """
    settings = _settings(options)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("PyTorch finds no GPU: choose --device cpu, or install PyTorch for this GPU")
    paths = [path for path in (options.own, options.others) if path is not None]
    tables = [read_cases(path) for path in paths]
    inputs = [*paths, *(path for table in tables for case in table for path in (case.image, case.label))]
    checked_key(options.output.stem)
    check_output(options.output, inputs, (ENDING,))
    network = verified_files(find_model(BASE), options.weights)
    tensors = train(tables, network, settings, options.device)
    metadata = AdapterMetadata(
        base=BASE,
        base_sha256=network.sha256,
        title=options.title or options.output.stem,
        licence=options.licence,
        description=options.description or describe(tables),
        propagation=PROPAGATION,
    )
    try:
        adapter = write_adapter(options.output, tensors, metadata)
    except OSError as error:
        raise cannot_write(options.output, error) from error
    check_adapter(adapter, network.spec, network.sha256)
    print(f"written {options.output}, sha256 {adapter.sha256}")


def _settings(options: argparse.Namespace) -> Settings:
    for name in ("steps", "stop_after", "batch", "variants"):
        if getattr(options, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)} trains nothing: give 1 or more")
    if options.stop_after > options.steps:
        raise InputError(f"--stop-after {options.stop_after} is beyond the last step: give {options.steps} or less")
    if options.seed < 0:
        raise InputError("--seed must not be negative")
    names = ("seed", "variants", "steps", "stop_after", "batch")
    return replace(Settings(), **{name: getattr(options, name) for name in names})


def main(arguments: list[str] | None = None) -> int:
    default = Settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("own", type=Path, metavar="OWN.csv", help="cases that the model is for")
    parser.add_argument("others", type=Path, nargs="?", metavar="OTHERS.csv", help="cases of other objects")
    parser.add_argument("--output", type=Path, required=True, metavar=f"NAME{ENDING}")
    parser.add_argument("--title", help="its name in lists of models (default: NAME)")
    parser.add_argument("--licence", default=OWN_USE, help=f"its licence (default: {OWN_USE})")
    parser.add_argument("--description", help="what it was trained with (default: numbers of contours and images)")
    parser.add_argument("--weights", type=Path, help="LiteMedSAM's weights (default: those that are installed)")
    parser.add_argument("--device", choices=DEVICES, default="cuda" if torch.cuda.is_available() else "cpu")
    for name, what in (
        ("steps", "steps that the learning rate is laid out for"),
        ("stop-after", "step after which training ends"),
        ("batch", "sequences of slices in a step"),
        ("variants", "times that each image is taken, changed at random but for the first"),
        ("seed", "of everything that is random"),
    ):
        value = getattr(default, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{what} (default: {value})")
    try:
        run(parser.parse_args(arguments))
    except MedSAMError as error:
        print(f"train: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
