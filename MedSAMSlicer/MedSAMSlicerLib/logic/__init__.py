"""The module's logic for scripts in Slicer, and inference processes in Qt's event loop."""
