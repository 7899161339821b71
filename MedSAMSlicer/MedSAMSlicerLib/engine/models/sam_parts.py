"""The parts of SAM's networks, out of the package segment-anything, without the rest of it.

What that package is imported with imports torchvision: seconds and a hundred megabytes for what is not used here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType


@contextlib.contextmanager
def _hollow(name: str) -> Iterator[None]:
    """Within it modules of a package can be imported, and what stands in the package's own file is not run.

    Afterwards the package is as if it had not been imported: whoever does so gets all of it, with modules of its own.
    """
    found = None if name in sys.modules else importlib.util.find_spec(name)
    if found is None:
        yield
        return
    package = ModuleType(name)
    package.__path__ = list(found.submodule_search_locations or [])
    sys.modules[name] = package
    try:
        yield
    finally:
        for module in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
            del sys.modules[module]


with _hollow("segment_anything"):
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, TwoWayTransformer
    from segment_anything.modeling.common import LayerNorm2d
    from segment_anything.modeling.image_encoder import window_partition, window_unpartition

__all__ = [
    "ImageEncoderViT",
    "LayerNorm2d",
    "MaskDecoder",
    "PromptEncoder",
    "TwoWayTransformer",
    "window_partition",
    "window_unpartition",
]
