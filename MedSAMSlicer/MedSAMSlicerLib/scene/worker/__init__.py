"""The inference process, seen from the main process."""
