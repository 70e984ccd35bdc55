"""The lines of a crystal that a user hands over: hkl, d, |F|^2, intensity, as table and picture."""
