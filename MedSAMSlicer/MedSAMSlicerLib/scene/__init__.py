"""MRML nodes in, segments out. Knows nothing of Qt."""
