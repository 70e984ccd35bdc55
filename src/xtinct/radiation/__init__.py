"""Radiation: the wavelengths of tubes, and what a number that is told as a wavelength can be."""
