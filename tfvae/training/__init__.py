"""The training loop, its step, and who trains together."""
