"""The parts of a dataset joined into its files, which say where their content comes from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import xtinct
from xtinct.files.parquet import count_rows
from xtinct.files.schema import LINES, QUARANTINE, STRUCTURES
from xtinct.files.shards import merge_shards


@dataclass(frozen=True)
class Identity:
    """What the content of a dataset's files follows from.

    dataset  its name
    seed     of the configuration
    config   the part of the configuration that the content depends on
    """

    dataset: str
    seed: int
    config: Mapping[str, object]

    def metadata(self) -> dict[str, object]:
        """Metadata of the files (`files.parquet.write_parquet`)."""
        return {
            "dataset": self.dataset,
            "seed": self.seed,
            "config_digest": config_digest(self.config),
            "config": dict(self.config),
            "library_version": xtinct.__version__,
        }


def config_digest(config: Mapping[str, object]) -> str:
    """SHA-256 (hexadecimal) of a part of the configuration, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def merge_lines(shards: Sequence[str | Path], out: str | Path, identity: Identity) -> int:
    """Join the shards' line lists of one family into `out` and return its rows."""
    metadata = {**identity.metadata(), "rows": count_rows(shards)}
    return merge_shards(shards, out, schema=LINES, metadata=metadata)


def merge_structures(shards: Sequence[str | Path], out: str | Path, identity: Identity) -> int:
    """Join the shards' structures into `out` and return its rows."""
    return merge_shards(shards, out, schema=STRUCTURES, metadata=identity.metadata(), key="structure_id")


def merge_quarantine(shards: Sequence[str | Path], out: str | Path) -> int:
    """Join the shards' quarantine tables into `out` and return its rows."""
    return merge_shards(shards, out, schema=QUARANTINE, key="structure_id")
