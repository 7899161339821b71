"""What has to be in place before Slicer can segment: packages, weights and sample data. Imports no Qt."""
