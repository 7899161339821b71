"""Section 'Storage': folder for models, cache for encoded slices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.errors import MedSAMError
from . import settings
from .setup import embedding_caches
from .setup.model_inventory import folder_for_weights
from .texts import show_message

SLICE_MEGABYTES = 4
"""Size of one embedding: 256 x 64 x 64 float32 numbers, for every model."""


class StorageSection:
    """Lets the user choose the folder for models and the size of the cache.

    Args:
        ui: widgets of the panel by object name.
        on_folder_changed: called after the user has chosen another folder.
    """

    def __init__(self, ui: Any, on_folder_changed: Callable[[], None]) -> None:
        self._ui, self._on_folder_changed = ui, on_folder_changed
        self._showing = False
        ui.memorySpinBox.setRange(settings.MIN_MB, settings.MAX_MB)
        ui.memorySpinBox.value = settings.embeddings_megabytes()
        ui.memorySpinBox.connect("valueChanged(int)", self._memory_changed)
        ui.clearCacheButton.connect("clicked()", self._clear_cache)
        ui.weightsFolderButton.connect("directoryChanged(QString)", self._folder_chosen)
        ui.defaultFolderButton.connect("clicked()", self._default_folder)
        ui.openFolderButton.connect("clicked()", self._open_folder)
        show_message(ui.storageMessage, "")
        self._show_memory()

    def refresh(self) -> None:
        """Show the current folder."""
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
            _("Models in the previous folder are not moved. Move the files, or choose the previous folder again."),
        )
        self._on_folder_changed()

    def _open_folder(self) -> None:
        folder = settings.weights_folder() or str(folder_for_weights())
        # The file browser cannot show a folder that does not exist yet.
        qt.QDir().mkpath(folder)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder))

    def _memory_changed(self, megabytes: int) -> None:
        settings.set_embeddings_megabytes(megabytes)
        self._show_memory()

    def _show_memory(self) -> None:
        slices = self._ui.memorySpinBox.value // SLICE_MEGABYTES
        self._ui.memoryHint.text = (
            _("Room for about {count} slices. Applies when the MedSAM effect starts the next time.").format(
                count=slices
            )
            if slices
            else _("No slices are cached. Applies when the MedSAM effect starts the next time.")
        )

    def _clear_cache(self) -> None:
        cleared = embedding_caches.clear_all()
        show_message(
            self._ui.storageMessage,
            _("The cache is cleared.") if cleared else _("The cache is already empty."),
        )
