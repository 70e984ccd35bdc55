"""One model on the test sets of its experiment -> metrics, predictions, curves of robustness, figures."""

from pathlib import Path

import xtinct.project.lean_torch  # noqa: F401 (before torch)
from xtinct.evaluation.libraries import write_libraries
from xtinct.evaluation.methods import ModelFolder
from xtinct.evaluation.networks import evaluate_model
from xtinct.evaluation.robustness import measure_robustness
from xtinct.evaluation.speed import speeds_in
from xtinct.evaluation.test_sets import TestSet
from xtinct.learning.memory import memory_kept
from xtinct.project.job import job

inputs, output, params = snakemake.input, snakemake.output, snakemake.params
# The files of a test set: one, or one per family. As a module of another workflow they may stand elsewhere
# than the configuration says; their order is the same.
count = len(inputs.datasets) // len(params.tests)
curves = iter(output.robustness)
features = iter(output.features)
# Tables of structures by what the configuration calls them; as a module they may stand elsewhere as well.
tables = dict(zip(sorted({*params.drawn.values()} - {""}), inputs.structures, strict=True))

with job(snakemake.log), memory_kept():
    if params.drawn:
        # What it imports takes a second, which most experiments can do without.
        from xtinct.evaluation.model_figures import write_importances, write_portrait
    model = ModelFolder(Path(inputs.model).parent, params.device, params.precision, params.threads)
    speed = None
    for index, name in enumerate(params.tests):
        files = inputs.datasets[index * count : (index + 1) * count]
        test = TestSet(name, files, params.instrument, confidence=params.confidence)
        records = evaluate_model(model, test, output.metrics[index], output.predictions[index], speed)
        speed = speeds_in(records)
        if params.robustness and name in params.robustness["tests"]:
            measure_robustness(model, test, params.robustness, next(curves))
        if name in params.drawn:
            write_portrait(model, test, next(features), tables.get(params.drawn[name]))
    for path in output.importances:
        write_importances(model, path)
    for path in output.libraries:
        write_libraries(model, inputs.library, path, times=params.libraries, confidence=params.confidence)
