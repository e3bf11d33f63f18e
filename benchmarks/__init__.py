"""Ratios to a limit measured in the same run."""
