"""Folder of a run that is not finished, beside its result: what a run that goes on need not do again.

It holds embeddings of patients' images and goes when the run is finished.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ..engine.errors import InputError
from ..io.output_files import cannot_write

_MARK = "medsam-slicer-adapt"
"""A file that says whose folder this is: no other folder is removed."""


class WorkFolder:
    """Folder ``NAME.medsam.work``.

    Args:
        output: file of the result.

    Raises:
        InputError: there is a folder of this name that no run has made, or it cannot be made.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f"{output.name}.work")
        try:
            if self.path.exists() and not self._marked and (not self.path.is_dir() or any(self.path.iterdir())):
                raise InputError(
                    f"{self.path} is something else than the folder of a run: move it or choose another name"
                )
            for folder in (self.embeddings, self.answers):
                folder.mkdir(parents=True, exist_ok=True)
            (self.path / _MARK).touch()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    @property
    def _marked(self) -> bool:
        return (self.path / _MARK).is_file()

    @property
    def embeddings(self) -> Path:
        """Folder of embeddings."""
        return self.path / "embeddings"

    @property
    def answers(self) -> Path:
        """Folder of the decoder's sure answers before learning."""
        return self.path / "answers"

    @property
    def checkpoint(self) -> Path:
        """Checkpoint of the training."""
        return self.path / "training.safetensors"

    @property
    def candidate(self) -> Path:
        """The adapted model before it is judged."""
        return self.path / "candidate.medsam"

    def remove(self) -> None:
        """Remove the folder with everything in it. Raises OSError."""
        shutil.rmtree(self.path)
