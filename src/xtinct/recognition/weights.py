"""Weights of recognition, from `benchmarks/recognition/weights.py`."""

#: Of the features of `ranking.features`.
SCORE = {
    "evidence": 0.29,
    "free": -3.85,
    "strain": -0.32,
    "scale": -1.33,
    "cosine": 1.81,
    "likeness": -0.02,
    "fourth": 1.64,
    "textured": 2.65,
    "texture": 0.47,
}
#: Of the features of `ranking.doubt_features`.
DOUBT = {
    "one": 1.0,
    "score": 0.0,
    "textured": 0.0,
    "fourth": 0.0,
    "evidence": 0.0,
    "explained": 0.0,
    "ten": 0.0,
    "seen": 0.0,
    "peaks": 0.0,
    "lines": 0.0,
    "free": 0.0,
    "strain": 0.0,
    "gap": 0.0,
    "residual": 0.0,
}
#: Temperatures of scores where the best is right, and where it is not; then also the share of the groups'
#: frequencies.
VOTES = {"temperature": 1.0, "wide": 3.0, "floor": 0.3}
