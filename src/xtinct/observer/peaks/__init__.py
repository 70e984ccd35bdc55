"""Peaks of a measured pattern: background, noise, shapes, search."""
