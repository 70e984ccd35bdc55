"""Powder-diffraction datasets, models and the ceilings that the extinction laws set."""

__version__ = "0.1.0"
