"""Which models and devices can be chosen, and what the model sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..engine.intensity import CT_PRESETS
from ..engine.models.catalogue import CATALOGUE
from ..panel import settings
from ..scene.editing.contour_editor import ContourEditor
from ..scene.state.effect_parameters import EffectParameters
from .devices import Devices

DEVICE_NAMES = {"cpu": "CPU", "cuda": "CUDA", "mps": "MPS"}
RUNTIME_NAMES = {"torch": "PyTorch", "openvino": "OpenVINO"}


class ModelOptions:
    """Fills `modelComboBox` and `deviceComboBox`; writes `windowInUseLabel`.

    Args:
        ui: has these.
        parameters: gives the options, None while there is no scene for them.
    """

    def __init__(self, ui: Any, parameters: Callable[[], EffectParameters | None]) -> None:
        self._ui, self._parameters = ui, parameters
        self._devices = Devices(self.read)
        self._offered: dict[str, list[tuple[str, str]]] = {}
        self.level_and_width = CT_PRESETS["soft-tissue"]
        """Of the window that is in use, or was last."""
        ui.modelComboBox.connect("activated(int)", lambda index: self._set("Model", ui.modelComboBox, index))
        ui.deviceComboBox.connect("activated(int)", lambda index: self._set("Device", ui.deviceComboBox, index))

    def ask_devices(self) -> None:
        """Have it found out which devices are there, once; that costs a process which imports torch."""
        self._devices.ask()

    def read(self) -> None:
        """Offer what is there, and choose what stands in the scene, even if it is not there."""
        parameters = self._parameters()
        if parameters is None:
            return
        model, device = parameters.as_it_stands("Model"), parameters.as_it_stands("Device")
        models = [(key, CATALOGUE[key].title) for key in self._usable_models()]
        if model not in dict(models):
            title = CATALOGUE[model].title if model in CATALOGUE else model
            models.append((model, _("{model} (not installed)").format(model=title)))
        devices = [("auto", _automatic_text()), *((name, DEVICE_NAMES.get(name, name)) for name in self._there(device))]
        if device not in dict(devices):
            name = DEVICE_NAMES.get(device, device)
            devices.append((device, _("{device} (not on this computer)").format(device=name)))
        self._offer(self._ui.modelComboBox, models, model)
        self._offer(self._ui.deviceComboBox, devices, device)

    def show(self, contouring: ContourEditor | None) -> None:
        """Say which window is in use."""
        text = ""
        if contouring is not None and not contouring.gone:
            try:
                window = contouring.reader.window
                if window is not None:
                    self.level_and_width = window.asked or (
                        (window.lower + window.upper) / 2,
                        window.upper - window.lower,
                    )
                text = _("Searching for the window…") if window is None else _("In use: {window}").format(
                    window=window.describe()
                )  # fmt: skip
            except MedSAMError as error:
                text = str(error)
        if self._ui.windowInUseLabel.text != text:
            self._ui.windowInUseLabel.text = text

    def close(self) -> None:
        self._devices.close()

    def _there(self, chosen: str) -> list[str]:
        """Devices that are there; while nobody knows yet, the processor and what was chosen."""
        return self._devices.known or sorted({"cpu", chosen} - {"auto"})

    def _usable_models(self) -> list[str]:
        # Slicer starts with the effect, but without these options.
        from ..panel.setup.model_inventory import ModelInventory

        try:
            return [model.spec.key for model in ModelInventory(settings.VerifiedWeights()).models() if model.usable]
        except MedSAMError:
            return []  # packages are missing: the module's panel says which, the worker says so when it is asked

    def _offer(self, combo: qt.QComboBox, items: list[tuple[str, str]], chosen: str) -> None:
        blocked = combo.blockSignals(True)
        if self._offered.get(combo.objectName) != items:
            self._offered[combo.objectName] = items
            combo.clear()
            for value, text in items:
                combo.addItem(text, value)
        combo.currentIndex = max(combo.findData(chosen), 0)
        combo.blockSignals(blocked)

    def _set(self, name: str, combo: qt.QComboBox, index: int) -> None:
        parameters = self._parameters()
        if parameters is not None:
            parameters.set(name, combo.itemData(index))


def _automatic_text() -> str:
    device, runtime = settings.preferred()
    if device == "auto":
        return _("Automatic")
    names = [DEVICE_NAMES.get(device, device), *([] if runtime == "auto" else [RUNTIME_NAMES.get(runtime, runtime)])]
    return _("Automatic ({device})").format(device=", ".join(names))
