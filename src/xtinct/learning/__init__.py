"""Learning: data streams, networks, training and prediction.

The way of a batch: `streams` (lines of samples), `training_sets` (which streams an experiment mixes),
`loading` (batches and their measuring conditions), `forward_pass` (lines to patterns to outputs), `fitting`
(the loop) and `validation`. `training` makes a model folder of it all; `predictor` asks one. A new network is
a file in `models` and a line in its `MODELS`.
"""
