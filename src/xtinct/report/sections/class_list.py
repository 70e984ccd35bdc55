"""The extinction classes with their members."""

from xtinct.report.results import Results
from xtinct.report.section import Content
from xtinct.symmetry.families import FAMILIES


def content(results: Results) -> Content:
    """Classes, and the families in their order."""
    return Content({"classes": results.inputs.classes, "families": list(FAMILIES)})
