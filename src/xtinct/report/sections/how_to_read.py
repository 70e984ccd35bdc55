"""How to read the report: the words, and how the datasets of this build are made."""

from xtinct.report.results import Results
from xtinct.report.section import Content


def content(results: Results) -> Content:
    """The configuration and the confidence level, which the words explain."""
    return Content({"config": results.config, "confidence": results.confidence})
