"""Options that choose a model and where it runs."""

from __future__ import annotations

import argparse

from ..engine.environment import DEFAULT_MODEL


def add_model_arguments(parser: argparse._ActionsContainer) -> None:
    """Add --model, --weights, --device and --runtime."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="KEY", help="see 'medsam-slicer models'; or a .medsam file"
    )
    parser.add_argument("--weights", metavar="FILE", help="weights file to use instead of the one that is found")
    add_device_arguments(parser)


def add_device_arguments(parser: argparse._ActionsContainer) -> None:
    """Add --device and --runtime."""
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cpu-bf16, cpu-int8, cuda, mps, intel-gpu or intel-npu"
    )
    parser.add_argument("--runtime", default="auto", help="auto, torch or openvino")
