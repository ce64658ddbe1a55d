"""The tests mirror the packages; `media.py` generates videos of every kind."""
