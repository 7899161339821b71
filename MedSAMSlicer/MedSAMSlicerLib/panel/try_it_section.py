"""Button 'Try it' of the panel, which says what is missing or begins with the sample CT."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from ..engine.diagnostics.log import get_logger, log_error
from ..engine.errors import MedSAMError
from .models_section import ModelsSection
from .packages_section import PackagesSection
from .texts import show_error, show_message
from .try_it import TryIt, download_question, missing_step

_log = get_logger(__name__)


class TryItSection:
    """A button, with a message below.

    Args:
        ui: widgets of the panel by object name.
        packages, models: the sections to which the user is led if something is missing.
    """

    def __init__(self, ui: Any, packages: PackagesSection, models: ModelsSection) -> None:
        self._ui, self._packages, self._models = ui, packages, models
        self._try_it = TryIt()
        ui.tryItButton.connect("clicked()", self.start)
        show_message(ui.tryItMessage, "")

    def start(self) -> None:
        """Lead to what is missing, or open the Segment Editor on the sample CT."""
        ui = self._ui
        usable = [model.spec.key for model in self._models.usable]
        missing = missing_step(self._packages.complete, usable)
        show_message(ui.tryItMessage, missing)
        if missing:
            packages = not self._packages.complete
            (ui.packagesSection if packages else ui.modelsSection).collapsed = False
            (ui.installPackagesButton if packages else ui.getModelButton).setFocus()
            return
        if self._try_it.needs_download and not slicer.util.confirmOkCancelDisplay(download_question()):
            return
        qt.QApplication.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
        try:
            self._try_it.start(usable)
        except MedSAMError as error:
            log_error(_log, error, "the sample was not opened")
            show_error(ui.tryItMessage, str(error))
        finally:
            qt.QApplication.restoreOverrideCursor()

    def close(self) -> None:
        """Remove the hint from the slice views."""
        self._try_it.close()
