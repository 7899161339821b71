"""Section 'Packages': lists the Python packages, and installs the required ones, or PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..engine.diagnostics.log import get_logger, log_error
from ..engine.errors import MedSAMError
from .setup import packages
from .tables import fill_table, prepare_table
from .texts import show_error, show_message, title_with_state

_log = get_logger(__name__)


class PackagesSection:
    """Table of packages, with a button that installs the required ones and one for PyTorch.

    Args:
        ui: widgets of the panel by object name.
        on_changed: called after an installation has ended.
    """

    def __init__(self, ui: Any, on_changed: Callable[[], None]) -> None:
        self._ui, self._on_changed = ui, on_changed
        prepare_table(ui.packagesTable, [_("Package"), _("Required"), _("Installed")])
        ui.installPackagesButton.connect("clicked()", self.install)
        ui.installTorchButton.connect("clicked()", self.install_torch)
        show_message(ui.packagesMessage, "")

    @property
    def complete(self) -> bool:
        """Whether all required packages are installed."""
        return self._complete

    def refresh(self) -> None:
        """Update the table from the installed packages."""
        ui = self._ui
        required, optional = packages.required_packages(), packages.torch_packages()
        missing = packages.missing(required)
        self._complete = not missing
        rows = [[package.name, package.version_range, package.installed or _("missing")] for package in required]
        rows += [[package.name, package.version_range, package.installed or _("optional")] for package in optional]
        fill_table(ui.packagesTable, rows)
        state = _("ready") if self._complete else _("{count} missing").format(count=len(missing))
        ui.packagesSection.text = title_with_state(_("1. Packages"), state)
        ui.packagesSection.collapsed = self._complete
        ui.installPackagesButton.enabled = not self._complete
        ui.packagesHint.text = self._hint(missing)
        with_torch = not packages.missing(optional)
        ui.installTorchButton.enabled = self._complete and not with_torch
        ui.torchHint.text = (
            _("PyTorch is installed: graphics cards and all models can be used.")
            if with_torch
            else _(
                "Graphics cards and models other than LiteMedSAM need PyTorch. It takes 200 MB to 3 GB, depending on the GPU;"
                " the PyTorch extension asks before it downloads. Slicer does not respond while PyTorch is being installed."
            )
        )

    def install(self) -> None:
        """Install the missing packages. Slicer shows pip's progress."""
        self._install(packages.required_packages(), _("All packages are installed."))

    def install_torch(self) -> None:
        """Install PyTorch, whose extension asks before it downloads."""
        self._install(packages.torch_packages(), _("PyTorch is installed."))

    def _install(self, wanted: list[packages.Package], done_text: str) -> None:
        show_message(self._ui.packagesMessage, "")
        self._ui.installPackagesButton.enabled = self._ui.installTorchButton.enabled = False
        qt.QApplication.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
        failure = ""
        try:
            packages.install(wanted)
        except MedSAMError as error:
            log_error(_log, error, "packages were not installed")
            failure = str(error)
        finally:
            qt.QApplication.restoreOverrideCursor()
        self.refresh()
        if failure:
            show_error(self._ui.packagesMessage, failure)
        else:
            show_message(self._ui.packagesMessage, done_text)
        self._on_changed()

    @staticmethod
    def _hint(missing: list[packages.Package]) -> str:
        if not missing:
            return _("All Python packages that MedSAM needs are installed.")
        return _(
            "MedSAM needs Python packages that are not part of Slicer, 40 to 100 MB in all. OpenVINO among them runs"
            " LiteMedSAM on the CPU. They are downloaded only when you click Install."
        )
