"""Training: the loop and everything that serves it."""
