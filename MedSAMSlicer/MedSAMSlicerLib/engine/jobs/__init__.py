"""Long-running work in processes of its own: weights, conversion, check of the devices."""
