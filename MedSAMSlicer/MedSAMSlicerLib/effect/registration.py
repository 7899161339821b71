"""Registration of the effect with the Segment Editor."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import slicer

from ..scene.state.effect_parameters import EFFECT_NAME

_PACKAGE = __name__.partition(".")[0]
_SOURCE = Path(__file__).resolve().parents[1] / "SegmentEditorEffect.py"


def new_scripted_effect() -> Any:
    """Create Slicer's side of the effect, which creates the Python side."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    # Slicer looks for the class in the module with the name of the file's folder. If the class is missing there, Slicer
    # replaces the module, which is our package, by the file. Therefore the package must have the class.
    package = importlib.import_module(_PACKAGE)
    vars(package)["SegmentEditorEffect"] = importlib.import_module(
        f"{_PACKAGE}.SegmentEditorEffect"
    ).SegmentEditorEffect
    assert sys.modules[_PACKAGE] is package
    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(_SOURCE.as_posix())
    return effect


def register_effect() -> None:
    """Register the effect, unless an effect of this name is registered already, as after a reload of the module."""
    registered = slicer.qSlicerSegmentEditorEffectFactory.instance().registeredEffects()
    if EFFECT_NAME not in [effect.name for effect in registered]:
        new_scripted_effect().self().register()
