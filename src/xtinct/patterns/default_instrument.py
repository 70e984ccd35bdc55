"""The instrument that is meant where none is named."""

from xtinct.patterns.instrument import Instrument

#: The instrument of the default configuration and of the models it trains: Cu K-alpha1, 5-90 degrees.
DEFAULT_INSTRUMENT = Instrument(
    wavelength=1.5406, two_theta_min=5.0, two_theta_max=90.0, points=8192, lorentz="lorentz", fwhm=0.23548
)
