"""Reflection conditions, extinction classes and ceilings of the 230 space groups."""
