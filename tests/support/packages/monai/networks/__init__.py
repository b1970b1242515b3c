"""Where MONAI keeps its networks."""
