"""Section 'Storage': folder for models, memory for encoded slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from . import settings
from .setup import embedding_memory
from .setup.model_inventory import folder_for_weights
from .texts import show_message

SLICE_MEGABYTES = 4
"""An embedding is 256 x 64 x 64 float32 numbers, whatever the model."""


class StorageSection:
    """Where files and memory go.

    Args:
        ui: named widgets of the panel.
        on_folder_changed: called when another folder was chosen.
    """

    def __init__(self, ui: Any, on_folder_changed: Callable[[], None]) -> None:
        self._ui, self._on_folder_changed = ui, on_folder_changed
        self._showing = False
        ui.memorySpinBox.setRange(settings.LEAST_MB, settings.MOST_MB)
        ui.memorySpinBox.value = settings.embeddings_megabytes()
        ui.memorySpinBox.connect("valueChanged(int)", self._memory_changed)
        ui.forgetButton.connect("clicked()", self._forget)
        ui.weightsFolderButton.connect("directoryChanged(QString)", self._folder_chosen)
        ui.defaultFolderButton.connect("clicked()", self._default_folder)
        ui.openFolderButton.connect("clicked()", self._open_folder)
        show_message(ui.storageMessage, "")
        self._show_memory()

    def refresh(self) -> None:
        """Show the folder that holds now."""
        chosen = settings.weights_folder()
        ui = self._ui
        self._showing = True
        try:
            folder = chosen or str(folder_for_weights())
        except MedSAMError:
            folder = ""
        if folder:
            ui.weightsFolderButton.directory = folder
        self._showing = False
        ui.defaultFolderButton.enabled = bool(chosen)
        ui.openFolderButton.enabled = bool(folder)

    def _folder_chosen(self, folder: str) -> None:
        if not self._showing:
            self._set_folder(str(folder))

    def _default_folder(self) -> None:
        self._set_folder("")

    def _set_folder(self, folder: str) -> None:
        settings.set_weights_folder(folder)
        self.refresh()
        show_message(
            self._ui.storageMessage,
            _("Models in the former folder stay where they are. Move the files, or choose that folder again."),
        )
        self._on_folder_changed()

    def _open_folder(self) -> None:
        folder = settings.weights_folder() or str(folder_for_weights())
        # A folder that nothing was put into yet cannot be shown.
        qt.QDir().mkpath(folder)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder))

    def _memory_changed(self, megabytes: int) -> None:
        settings.set_embeddings_megabytes(megabytes)
        self._show_memory()

    def _show_memory(self) -> None:
        slices = self._ui.memorySpinBox.value // SLICE_MEGABYTES
        self._ui.memoryHint.text = (
            _("Room for about {count} slices. Holds from the next start of the MedSAM effect.").format(count=slices)
            if slices
            else _("Every slice is computed again each time. Holds from the next start of the MedSAM effect.")
        )

    def _forget(self) -> None:
        told = embedding_memory.forget_all()
        show_message(
            self._ui.storageMessage,
            _("The memory was given back.") if told else _("No slices are kept in memory now."),
        )
