"""Tests of `vsr`."""
