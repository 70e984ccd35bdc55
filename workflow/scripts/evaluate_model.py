"""One model on the test sets of its experiment -> metrics, predictions and curves of robustness."""

from pathlib import Path

from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.networks import evaluate_model
from xtinct.evaluation.robustness import measure_robustness
from xtinct.evaluation.speed import speeds_in
from xtinct.evaluation.test_sets import TestSet
from xtinct.project.job import job

inputs, output, params = snakemake.input, snakemake.output, snakemake.params
# The files of a test set: one, or one per family. As a module of another workflow they may stand elsewhere
# than the configuration says; their order is the same.
count = len(inputs.datasets) // len(params.tests)
curves = iter(output.robustness)

with job(snakemake.log):
    model = ModelFolder(Path(inputs.model).parent, params.device, params.precision, params.threads)
    speed = None
    for index, name in enumerate(params.tests):
        files = inputs.datasets[index * count : (index + 1) * count]
        test = TestSet(name, files, params.instrument, confidence=params.confidence)
        records = evaluate_model(model, test, output.metrics[index], output.predictions[index], speed)
        speed = speeds_in(records)
        if params.robustness and name in params.robustness["tests"]:
            measure_robustness(model, test, params.robustness, next(curves))
