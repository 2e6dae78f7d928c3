"""Models without some of their channels."""
