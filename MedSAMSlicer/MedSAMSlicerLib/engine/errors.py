"""Errors that a user reads: one line that says what is wrong, where, and what to do."""

from __future__ import annotations


class MedSAMError(Exception):
    """Base of every error with a message meant for the user. ``str(error)`` is that message, in one line."""

    exit_status = 1


class InputError(MedSAMError):
    """The image, the prompt or an option cannot be used as it was given."""

    exit_status = 2


class WeightsError(MedSAMError):
    """Model weights are missing, are of another model, or do not match their checksum."""

    exit_status = 3


class WorkerError(MedSAMError):
    """The inference process died, did not answer, or answered what cannot be understood."""


class Cancelled(MedSAMError):
    """The user cancelled. Nothing was written."""

    exit_status = 130
