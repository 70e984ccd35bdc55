"""Patterns, a view of line lists: instruments, measuring conditions, and rendering on CPU and GPU."""
