"""The module's panel: packages, models, device check, storage and settings."""
