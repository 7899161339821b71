"""The module's panel: three setup steps, storage settings, and links to other modules."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from .. import __version__
from ..engine.diagnostics.details import record_events
from ..engine.environment import DEFAULT_MODEL
from ..engine.models.catalogue import model_title
from . import settings
from .computer_check import ComputerCheck
from .copy_details import copy_details
from .handoff_section import HandoffSection
from .models_section import ModelsSection
from .packages_section import PackagesSection
from .storage_section import StorageSection
from .texts import show_message
from .try_it_section import TryItSection


class Panel:
    """Creates the sections and keeps them consistent with each other.

    Args:
        ui: widgets of ``Resources/UI/MedSAMSlicer.ui`` by object name.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        settings.apply()
        record_events()
        self.packages = PackagesSection(ui, self.refresh)
        self.models = ModelsSection(ui, self._models_changed)
        self.check = ComputerCheck(ui, self._show_summary)
        self.storage = StorageSection(ui, self.refresh)
        self.handoff = HandoffSection(ui)
        self.try_it = TryItSection(ui, self.packages, self.models)
        ui.versionLabel.text = _("MedSAMSlicer {version}. For research use; not a medical device.").format(
            version=__version__
        )
        ui.openEditorButton.connect("clicked()", self._open_editor)
        ui.sampleDataButton.connect("clicked()", self._open_sample_data)
        ui.copyDetailsButton.connect("clicked()", self._copy_details)
        show_message(ui.detailsMessage, "")
        self.refresh()

    def enter(self) -> None:
        """Refresh, and verify new weights; called when the user opens the module."""
        self.refresh()
        if self.packages.complete:
            self.models.verify_found()

    def refresh(self) -> None:
        """Update all sections from the installed packages and models."""
        self.packages.refresh()
        self.storage.refresh()
        self.handoff.refresh()
        if not self.models.busy:
            self.models.refresh()
        self._models_changed()

    def close(self) -> None:
        """End all jobs, and remove the hint of 'Try it' from the slice views."""
        self.try_it.close()
        self.handoff.close()
        self.models.close()
        self.check.close()

    def _models_changed(self) -> None:
        self.check.set_models(self.models.usable, self.packages.complete)
        self._show_summary()

    def _show_summary(self) -> None:
        ui = self._ui
        ready = self.packages.complete and bool(self.models.usable)
        if not self.packages.complete:
            text = _("Next: install the packages (step 1).")
        elif not ready:
            text = _("Next: install a model (step 2). Start with {model}.").format(model=model_title(DEFAULT_MODEL))
        elif settings.device() == "auto":
            text = _("Ready. To use the fastest device, check this computer (step 3).")
        else:
            text = _("Ready. Try it, or open the Segment Editor and select the MedSAM effect.")
        ui.summaryLabel.text = f"<b>{text}</b>"
        ui.openEditorButton.enabled = ready

    def _copy_details(self) -> None:
        usable = [model.spec.key for model in self.models.usable]
        copy_details({"Usable models": ", ".join(usable) or "none"})
        show_message(self._ui.detailsMessage, _("Details copied. Paste them into your report."))

    @staticmethod
    def _open_editor() -> None:
        slicer.util.selectModule("SegmentEditor")

    @staticmethod
    def _open_sample_data() -> None:
        slicer.util.selectModule("SampleData")
