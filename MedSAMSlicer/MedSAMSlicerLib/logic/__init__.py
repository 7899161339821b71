"""The module's logic, which scripts in Slicer call, and inference processes driven by Qt."""
