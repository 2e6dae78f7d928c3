"""How weights move: rules, methods, and one exact step on a model."""
