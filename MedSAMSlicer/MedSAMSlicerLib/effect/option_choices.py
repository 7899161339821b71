"""What the user can choose in the options frame, and what is chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..engine.intensity import CT_PRESETS
from ..engine.model_choice import DEVICE_NAMES, RUNTIME_NAMES
from ..engine.models.catalogue import model_title
from ..scene.state.effect_parameters import DEFAULTS, EffectParameters, level_and_width

CUSTOM_WINDOW = "custom"


@dataclass(frozen=True)
class Available:
    """What this computer offers.

    Attributes:
        missing_packages: whether Python packages are missing.
        models: keys of the models whose weights are installed.
        devices: those of `DEVICE_NAMES` that are there; empty while that is unknown.
        backends: number of devices and runtimes to choose from; 0 while that is unknown.
        preferred: device and runtime that the check of this computer chose, each perhaps "auto".
    """

    missing_packages: bool = False
    models: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    backends: int = 0
    preferred: tuple[str, str] = ("auto", "auto")


@dataclass(frozen=True)
class Choice:
    """A combo box: its items, each a value and its text, and the value that is chosen."""

    items: tuple[tuple[str, str], ...]
    value: str

    @property
    def text(self) -> str:
        """Text of the chosen item."""
        return dict(self.items)[self.value]


@dataclass(frozen=True)
class OptionChoices:
    """The options as they are in the scene. An option with an invalid value shows as its default.

    Attributes:
        combos: Reach, Mode, Window (a preset, or `CUSTOM_WINDOW`), Model and Device.
        level_and_width: of the custom window; None if another one is chosen.
        checked: whether ApplyAtOnce, EncodeAhead and ShowModelInput are on.
        roi: the chosen ROI; None if there is none.
    """

    combos: dict[str, Choice]
    level_and_width: tuple[float, float] | None
    checked: dict[str, bool]
    roi: slicer.vtkMRMLNode | None


def option_choices(parameters: EffectParameters, available: Available) -> OptionChoices:
    """The options in the scene, and what can be chosen instead on this computer."""
    window = _value(parameters, "Window")
    custom = "," in window
    reaches = (("object", _("Whole object")), ("slice", _("This slice only")), ("range", _("Range of slices")))
    modes = (("add", _("Add to segment")), ("replace", _("Replace segment")), ("remove", _("Remove from segment")))
    return OptionChoices(
        {
            "Reach": Choice(reaches, _value(parameters, "Reach")),
            "Mode": Choice(modes, _value(parameters, "Mode")),
            "Window": Choice(_windows(), CUSTOM_WINDOW if custom else window),
            "Model": _models(parameters.as_it_stands("Model"), available),
            "Device": _devices(parameters.as_it_stands("Device"), available),
        },
        level_and_width(window) if custom else None,
        {name: _value(parameters, name) == "1" for name in ("ApplyAtOnce", "EncodeAhead", "ShowModelInput")},
        parameters.reference("ROI"),
    )


def preset_text(preset: str) -> str:
    """Name, level and width of a preset of `CT_PRESETS`."""
    names = {
        "soft-tissue": _("Soft tissue"),
        "lung": _("Lung"),
        "mediastinum": _("Mediastinum"),
        "brain": _("Brain"),
        "bone": _("Bone"),
        "liver": _("Liver"),
    }
    level, width = CT_PRESETS[preset]
    return _("CT {name} (level {level}, width {width})").format(
        name=names.get(preset, preset).lower(), level=f"{level:g}", width=f"{width:g}"
    )


def _windows() -> tuple[tuple[str, str], ...]:
    return (
        ("auto", _("Automatic")),
        ("display", _("As the volume is displayed")),
        *((preset, preset_text(preset)) for preset in CT_PRESETS),
        (CUSTOM_WINDOW, _("Level and width")),
    )


def _models(chosen: str, available: Available) -> Choice:
    items = [(key, model_title(key)) for key in available.models]
    if chosen not in available.models:
        items.append((chosen, _("{model} (not installed)").format(model=model_title(chosen))))
    return Choice(tuple(items), chosen)


def _devices(chosen: str, available: Available) -> Choice:
    # While the devices are unknown, the chosen one is shown as if it were there.
    there: Iterable[str] = available.devices or sorted({"cpu", chosen} - {"auto"})
    items = [("auto", _automatic(*available.preferred)), *((name, DEVICE_NAMES.get(name, name)) for name in there)]
    if chosen not in dict(items):
        name = DEVICE_NAMES.get(chosen, chosen)
        items.append((chosen, _("{device} (not on this computer)").format(device=name)))
    return Choice(tuple(items), chosen)


def _automatic(device: str, runtime: str) -> str:
    if device == "auto":
        return _("Automatic")
    names = [DEVICE_NAMES.get(device, device), *([] if runtime == "auto" else [RUNTIME_NAMES.get(runtime, runtime)])]
    return _("Automatic ({device})").format(device=", ".join(names))


def _value(parameters: EffectParameters, name: str) -> str:
    try:
        return parameters.get(name)
    except MedSAMError:
        return DEFAULTS[name]
