"""What the report was made from: the build, the models and all evaluation records."""

from xtinct.report.results import Results
from xtinct.report.section import Content


def content(results: Results) -> Content:
    """Provenance, models and records."""
    return Content(
        {
            "provenance": results.provenance,
            "trainings": results.inputs.trainings,
            "records": results.records,
        }
    )
