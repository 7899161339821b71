"""Prediction of masks on slices, with a cache of embeddings."""
