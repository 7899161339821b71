"""What has to be in place before Slicer can contour: packages, weights, a device. Knows nothing of Qt."""
