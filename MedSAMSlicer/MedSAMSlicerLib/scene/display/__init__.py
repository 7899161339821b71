"""What is drawn over the slice views."""
