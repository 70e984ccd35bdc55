"""Weights of recognition, from `benchmarks/recognition/weights.py`."""

#: Of the features of `ranking.features`.
SCORE = {
    "evidence": 0.8239,
    "free": -2.4479,
    "strain": -0.3116,
    "scale": -1.4884,
    "cosine": 0.9546,
    "likeness": 0.8511,
    "fourth": 0.698,
    "textured": 1.0068,
    "texture": 0.1404,
}
#: Of the features of `ranking.doubt_features`.
DOUBT = {
    "one": -16.3403,
    "score": -3.452,
    "textured": 2.1145,
    "fourth": 1.2141,
    "evidence": -0.2139,
    "explained": 3.5595,
    "ten": -1.0649,
    "seen": -0.6977,
    "peaks": 0.7866,
    "lines": 0.6166,
    "free": -2.3018,
    "strain": -0.6923,
    "gap": 0.6667,
    "residual": -0.2918,
}
#: Temperatures of scores where the best is right, and where it is not; then also the share of the groups'
#: frequencies.
VOTES = {"temperature": 0.7, "wide": 3.0, "floor": 0.2}
