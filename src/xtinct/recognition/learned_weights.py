"""Weights of recognition, from `benchmarks/recognition/weights.py`."""

#: Of the features of `structure_scores.features`.
SCORE = {
    "evidence": 0.6219,
    "free": -2.8486,
    "strain": -0.1881,
    "scale": -1.4079,
    "cosine": 1.4054,
    "likeness": 0.5638,
    "fourth": 1.2395,
    "textured": 0.5353,
    "texture": 0.4483,
}
#: Of the features of `structure_scores.doubt_features`.
DOUBT = {
    "one": -16.2205,
    "score": -5.1028,
    "textured": 2.9018,
    "fourth": 1.7376,
    "evidence": 0.0165,
    "explained": 3.5937,
    "ten": -1.5492,
    "seen": -1.7241,
    "peaks": 1.5305,
    "lines": 0.1289,
    "free": -2.7828,
    "strain": -0.9004,
    "gap": 0.5149,
    "residual": 0.4039,
}
#: Temperatures of scores where the best is right, and where it is not; then also the share of the groups'
#: frequencies.
VOTES = {"temperature": 0.7, "wide": 3.0, "floor": 0.2}
