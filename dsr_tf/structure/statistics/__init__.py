"""What examples say of channels, in one pass, and what follows from it."""
