"""Weights of recognition, from `benchmarks/recognition/weights.py`."""

#: Of the features of `ranking.features`.
SCORE = {
    "evidence": 0.7622,
    "free": -2.5404,
    "strain": -0.3448,
    "scale": -1.4583,
    "cosine": 0.6543,
    "likeness": 0.6358,
    "fourth": 0.7624,
    "textured": 1.5188,
    "texture": 0.0845,
}
#: Of the features of `ranking.doubt_features`.
DOUBT = {
    "one": -14.7908,
    "score": -2.5159,
    "textured": 1.9714,
    "fourth": 1.2706,
    "evidence": -0.3714,
    "explained": 2.9872,
    "ten": -0.7515,
    "seen": -0.9711,
    "peaks": 0.5832,
    "lines": 0.4864,
    "free": -2.2459,
    "strain": -0.591,
    "gap": 0.6652,
    "residual": -0.2716,
}
#: Temperatures of scores where the best is right, and where it is not; then also the share of the groups'
#: frequencies.
VOTES = {"temperature": 0.7, "wide": 3.0, "floor": 0.2}
