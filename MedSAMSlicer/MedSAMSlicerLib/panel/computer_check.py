"""Section 'Check this computer': times one slice on each device and selects the fastest whose result matches the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slicer.i18n import tr as _

from ..engine.environment import DEFAULT_MODEL
from ..processes.job_process import JobProcess, Line
from . import settings
from .check_slices import check_messages, open_volume
from .device_texts import MODULE, device_text, seconds_text
from .setup.model_inventory import Model
from .tables import fill_table, prepare_table
from .texts import show_error, show_message, title_with_state


class ComputerCheck:
    """Runs the device check in a child process and stores the selected device in the settings.

    Args:
        ui: widgets of the panel by object name.
        on_changed: called after a device has been selected.
    """

    def __init__(self, ui: Any, on_changed: Callable[[], None]) -> None:
        self._ui, self._on_changed = ui, on_changed
        self._job = JobProcess(self._on_line, self._on_end)
        self._results: list[Line] = []
        self._planned: list[Line] = []
        self._models: list[Model] = []
        self._possible = False
        self._model = DEFAULT_MODEL
        prepare_table(ui.devicesTable, [_("Device"), _("Time per slice"), _("Matches CPU")])
        ui.devicesTable.visible = False
        ui.checkProgressFrame.visible = False
        ui.checkComputerButton.connect("clicked()", self.run)
        ui.cancelCheckButton.connect("clicked()", self._cancel)
        ui.autoCheckBox.checked = settings.checks_automatically()
        ui.autoCheckBox.connect("toggled(bool)", settings.set_checks_automatically)
        show_message(ui.checkMessage, "")
        self._show_selected_device()

    @property
    def busy(self) -> bool:
        """Whether the check is running."""
        return self._job.running

    def set_models(self, models: Sequence[Model], packages_complete: bool) -> None:
        """Set the models that the user can choose from.

        Args:
            models: usable models.
            packages_complete: whether all required packages are installed; without them the check is disabled.
        """
        combo = self._ui.checkModelComboBox
        chosen = combo.currentText
        self._models, self._possible = list(models), packages_complete and bool(models)
        combo.clear()
        combo.addItems([model.spec.title for model in self._models])
        titles = [model.spec.title for model in self._models]
        if chosen in titles:
            combo.currentIndex = titles.index(chosen)
        self._enable()

    def run(self) -> None:
        """Start the check with the selected model."""
        ui = self._ui
        index = ui.checkModelComboBox.currentIndex
        if self.busy or not 0 <= index < len(self._models):
            return
        self._results, self._planned = [], []
        show_message(ui.checkMessage, "")
        self._show_results()
        ui.checkProgressLabel.text = _("Starting…")
        ui.checkProgressFrame.visible = ui.cancelCheckButton.enabled = True
        messages = check_messages(open_volume())
        self._model = self._models[index].spec.key
        self._job.start(MODULE, ["--model", self._model, "--slices", str(len(messages))], b"".join(messages))
        self._enable()

    def close(self) -> None:
        """End the running check."""
        self._job.close()

    def _enable(self) -> None:
        ui = self._ui
        ui.checkComputerButton.enabled = ui.checkModelComboBox.enabled = self._possible and not self.busy
        ui.checkComputerButton.toolTip = (
            _("Time one slice on the CPU and on every graphics card that can be used")
            if self._possible
            else _("Install the packages and a model first")
        )

    def _cancel(self) -> None:
        self._ui.cancelCheckButton.enabled = False
        self._job.cancel()

    def _on_line(self, line: Line) -> None:
        if line.get("kind") == "started":
            self._planned = [entry for entry in line.get("backends", ()) if isinstance(entry, dict)]
        elif line.get("kind") == "result":
            self._results.append(line)
            self._show_results()
        elif line.get("kind") == "fastest":
            self._select(line)
        if len(self._results) < len(self._planned):
            self._ui.checkProgressLabel.text = _("Timing {device} ({number} of {count})…").format(
                device=device_text(self._planned[len(self._results)]),
                number=len(self._results) + 1,
                count=len(self._planned),
            )

    def _select(self, line: Line) -> None:
        if settings.keep_check(line, self._model):
            self._show_selected_device()
            self._on_changed()
        else:
            reasons = [str(result.get("message", "")) for result in self._results]
            show_error(self._ui.checkMessage, next(filter(None, reasons), _("no device gave a correct result")))

    def _show_results(self) -> None:
        self._ui.devicesTable.visible = bool(self._results)
        fill_table(
            self._ui.devicesTable,
            [
                [device_text(result), seconds_text(result), _agreement_text(result, n == 0)]
                for n, result in enumerate(self._results)
            ],
            [
                ": ".join(str(part) for part in (result.get("name"), result.get("message")) if part)
                for result in self._results
            ],
        )

    def _show_selected_device(self) -> None:
        device = settings.device()
        name = device_text({"device": device, "runtime": settings.runtime()})
        ui = self._ui
        if device == "auto":
            ui.checkSection.text = title_with_state(_("3. Check this computer"), _("not checked yet"))
            ui.chosenDeviceLabel.text = _(
                "The device 'Automatic' is a graphics card if PyTorch finds one, else the CPU. It has not been checked since"
                " packages, models or hardware have changed."
            )
        else:
            ui.checkSection.text = title_with_state(_("3. Check this computer"), name)
            ui.chosenDeviceLabel.text = _(
                "The device 'Automatic' is {device}, the fastest whose result matches the CPU."
                " To use another one, select it in the options of the MedSAM effect."
            ).format(device=f"<b>{name}</b>")

    def _on_end(self, failure: str | None) -> None:
        self._ui.checkProgressFrame.visible = False
        self._enable()
        if failure:
            show_error(self._ui.checkMessage, failure)
        elif failure is None:
            show_message(self._ui.checkMessage, _("Cancelled. The device is unchanged."))


def _agreement_text(result: Line, is_reference: bool) -> str:
    if is_reference and result.get("agrees"):
        return _("reference")
    return _("yes") if result.get("agrees") else _("no")
