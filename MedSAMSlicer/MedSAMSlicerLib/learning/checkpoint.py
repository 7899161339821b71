"""State of a training that was not finished, in a file of the library safetensors: numbers and text, and no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import Tensor

from ..engine.atomic_files import replace_atomically
from ..engine.diagnostics.log import get_logger
from .course import Course

_log = get_logger(__name__)


def write_checkpoint(path: Path, run: str, course: Course, tensors: Mapping[str, Tensor]) -> None:
    """Write a state, whole or not at all.

    Args:
        run: identifies what is trained with what; see `read_checkpoint`.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(tensor.detach().cpu().numpy()) for name, tensor in tensors.items()}
    # Numbers as text keep all their digits.
    content = save(arrays, {"run": run, "course": json.dumps(asdict(course))})
    with replace_atomically(path) as part:
        part.write_bytes(content)


def read_checkpoint(path: Path, run: str) -> tuple[Course, dict[str, np.ndarray]] | None:
    """The state of a training in a file.

    Returns:
        None if there is no file, it is of another training, or it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("run") != run:
                _log.info("the training on disk is another one: training begins anew")
                return None
            course = json.loads(metadata["course"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        _log.warning("the training on disk cannot be read and begins anew: %s", error)
        return None
    for name in ("loss", "watched"):
        course[name] = [(int(step), float(value)) for step, value in course[name]]
    return Course(**course), tensors
