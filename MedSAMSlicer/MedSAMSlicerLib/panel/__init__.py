"""The module's panel: packages, models, the check of this computer, storage and settings."""
