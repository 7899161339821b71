"""Which models and devices this computer offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..engine.errors import MedSAMError
from ..panel import settings
from ..panel.device_texts import MODULE
from ..processes.job_process import JobProcess, Line
from .option_choices import Available


class Availability:
    """Lists installed models, and asks a process that may import torch for the devices.

    Args:
        on_devices: called when the devices become known.
    """

    def __init__(self, on_devices: Callable[[], None]) -> None:
        self.current = Available()
        self._on_devices = on_devices
        self._asked = False
        self._task = JobProcess(self._take, self._ended)

    def refresh(self) -> None:
        """Look again which models are installed and which device is preferred, and ask for the devices once.

        The effect calls it when it is activated: the panel, which changes these, is another module.
        """
        self.current = replace(
            self.current,
            missing_packages=_packages_are_missing(),
            models=_installed_models(),
            preferred=settings.preferred(),
        )
        if not self._asked:
            self._asked = True
            self._task.start(MODULE, ["--list", "--model", settings.checked_model()])

    def prefer(self) -> None:
        """Look again which device is preferred."""
        self.current = replace(self.current, preferred=settings.preferred())

    def close(self) -> None:
        """End the process."""
        self._task.close()

    def _ended(self, _failure: str | None) -> None:
        # Without packages there is no answer: they may be there when the effect is activated the next time.
        self._asked = bool(self.current.devices)

    def _take(self, line: Line) -> None:
        if line.get("kind") == "devices":
            settings.compare_conditions(str(line.get("conditions", "")))
            self.current = replace(
                self.current,
                devices=tuple(map(str, line.get("devices", ()))),
                backends=len(line.get("backends", ())),
                preferred=settings.preferred(),
            )
            self._on_devices()


def _packages_are_missing() -> bool:
    # Imported here, as below: Slicer imports the effect when it starts, long before these options are shown.
    from ..panel.setup import packages

    return bool(packages.missing(packages.required_packages()))


def _installed_models() -> tuple[str, ...]:
    from ..panel.setup.model_inventory import ModelInventory

    try:
        return tuple(model.spec.key for model in ModelInventory(settings.VerifiedWeights()).models() if model.usable)
    except MedSAMError:
        return ()  # packages are missing: the panel lists them, and a run reports them
