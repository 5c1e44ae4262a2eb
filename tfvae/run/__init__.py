"""Run directories: files written whole, what they hold, checkpoints, event files. Nothing here builds a model."""
