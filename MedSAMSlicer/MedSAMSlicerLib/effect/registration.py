"""How Slicer gets to know the effect."""

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
    """Slicer's half of an effect, joined with a new Python half."""
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    # Slicer looks for the class in the module that is named like the file's folder, and loads the file in the place
    # of that module if it is not there. That module is our package: so it has to have the class.
    package = importlib.import_module(_PACKAGE)
    vars(package)["SegmentEditorEffect"] = importlib.import_module(
        f"{_PACKAGE}.SegmentEditorEffect"
    ).SegmentEditorEffect
    assert sys.modules[_PACKAGE] is package
    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(_SOURCE.as_posix())
    return effect


def register_effect() -> None:
    """Make the effect known. Slicer keeps the first one of a name: when a module is reloaded there is nothing to do."""
    known = slicer.qSlicerSegmentEditorEffectFactory.instance().registeredEffects()
    if EFFECT_NAME not in [effect.name for effect in known]:
        new_scripted_effect().self().register()
