"""Which channels go together, and what they cost: a walk over the graph."""
