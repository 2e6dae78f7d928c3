"""Which units stay: scores, and choices under a budget."""
