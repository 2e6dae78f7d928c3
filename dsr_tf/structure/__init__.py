"""Whole channels of a model: found, scored, chosen, removed."""
