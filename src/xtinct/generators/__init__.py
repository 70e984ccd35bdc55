"""Crystals generated for a given space group."""
