"""What the stages rejected, and why."""

from collections import Counter

import pyarrow as pa

from xtinct.report.formatting import Row
from xtinct.report.results import Results
from xtinct.report.section import Content


def content(results: Results) -> Content:
    """Rejected entries by stage and reason; the manifests, which hold the balance of each stage."""
    return Content(
        {
            "quarantine": quarantine_rows(results.inputs.quarantine),
            "manifests": results.inputs.manifests,
        }
    )


def quarantine_rows(quarantine: pa.Table) -> list[Row]:
    """Rejected entries per stage and reason, with the first entry and its detail as an example."""
    counts: Counter = Counter()
    example: dict[tuple, tuple[str, str]] = {}
    for row in quarantine.to_pylist():
        key = (row["stage"], row["reason"])
        counts[key] += 1
        entry = (row["structure_id"], row["detail"])
        example[key] = min(example.get(key, entry), entry)
    return [
        {
            "stage": stage,
            "reason": reason,
            "count": count,
            "example": example[stage, reason][0],
            "detail": example[stage, reason][1],
        }
        for (stage, reason), count in sorted(
            counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1])
        )
    ]
