"""One loop, one checkpoint format, and a recipe per model."""
