"""The tests mirror the packages; `media.py` makes every kind of video by code."""
