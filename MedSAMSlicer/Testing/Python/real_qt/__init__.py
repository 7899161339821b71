"""The product's widgets in a real Qt, without Slicer: what they look like, and how much room they ask for."""
