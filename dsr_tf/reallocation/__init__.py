"""One exact step on a model, what it remembers, and its hook."""
