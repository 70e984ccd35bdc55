"""Rejected records: none is lost, and each keeps its reason."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from xtinct.files.parquet import read_table, write_parquet
from xtinct.files.schema import QUARANTINE


class Quarantine:
    """Collects what one stage rejects, as rows of schema QUARANTINE."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, structure_id: str, reason: str, detail: str, raw_sha256: str | None = None) -> None:
        """One record: a reason for counting, a line for a person, and the digest of the text as received."""
        self.rows.append(
            {
                "structure_id": structure_id,
                "stage": self.stage,
                "reason": reason,
                "detail": detail,
                "raw_sha256": raw_sha256,
            }
        )

    def read(self, path: str | Path) -> None:
        """Take over the rows of a table, which keep the stage that rejected them."""
        self.rows += read_table(path, QUARANTINE.names).to_pylist()

    def write(self, path: str | Path) -> int:
        """Write the table, ordered by structure_id, and return its rows."""
        rows = sorted(self.rows, key=lambda row: row["structure_id"])
        return write_parquet(path, [pa.Table.from_pylist(rows, schema=QUARANTINE)], QUARANTINE)
