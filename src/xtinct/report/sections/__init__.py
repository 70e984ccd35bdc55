"""The sections of the report in their order: this list is the table of contents of the page.

A new plot: draw it in a new module here, as a function `content` of `Results`, and add one `Section` below.
Data that no other section shows also need a path and a reader in `xtinct.report.inputs`, and an input in
`rules/report.smk` and `workflow/scripts/report.py`.
The text of the other sections stands in templates/sections, one file each, named like its module.
"""

from xtinct.report.section import Section
from xtinct.report.sections import (
    accuracy,
    all_models,
    build,
    ceilings,
    cell_parameters,
    certainty,
    claims,
    class_list,
    confusion,
    cross,
    dropped,
    explorer,
    generated,
    how_to_read,
    laboratory_patterns,
    learning_curves,
    network_answers,
    portraits,
    remaining,
    samples,
    summary,
)

SECTIONS = (
    Section("summary", "Summary", "Summary", summary.content),
    Section("claims", "Seed paper", "The seed paper, figure by figure", claims.content),
    Section("how_to_read", "How to read", "How to read this report", how_to_read.content),
    Section("ceilings", "Ceilings", "Ceilings", ceilings.content),
    Section("remaining", "Limitations", "What a measurement leaves of the ceiling", remaining.content),
    Section("accuracy", "Measured", "Measured against the ceiling", accuracy.content),
    Section("cross", "Train × test", "Trained on × tested on", cross.content),
    Section("all_models", "All models", "Every model on every test set", all_models.content),
    Section("confusion", "Confusion", "Confusion matrices", confusion.content),
    Section("learning_curves", "Training", "Training curves", learning_curves.content, "figures.html"),
    Section("certainty", "Certainty", "Certainty, robustness, training sets", certainty.content),
    Section("portraits", "Figures", "Figures of single models", portraits.content),
    Section("laboratory_patterns", "Laboratory", "Measured patterns", laboratory_patterns.content),
    Section("network_answers", "Networks", "Networks on measured patterns", network_answers.content),
    Section("samples", "Data", "Data", samples.content),
    Section("cell_parameters", "Lattices", "Lattice parameters of a space group", cell_parameters.content),
    Section("generated", "Generated", "Generated crystals", generated.content),
    Section("dropped", "Dropped", "What was dropped, and why", dropped.content),
    Section("explorer", "Explorer", "Class explorer", explorer.content),
    Section("class_list", "Classes", "Extinction classes", class_list.content),
    Section("build", "Provenance", "Provenance", build.content),
)
