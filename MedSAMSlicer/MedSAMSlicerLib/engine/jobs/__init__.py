"""Long-running work in processes of its own: downloads and imports, conversion, check of the devices."""
