"""Test sets of real crystals with their coordinates, their lattice, or both drawn anew.

A model trained on generated crystals that does worse on real ones does so because real coordinates, or real
lattices, are unlike the generated ones: the copies tell which (Schopmans et al., Digital Discovery 2, 1414,
2023). They are the copies of the CDDD test crystals, and all of them are test samples.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from xtinct.datasets import cddd
from xtinct.datasets.gcdd_statistics import ids_of_part
from xtinct.datasets.manifest import write_manifest
from xtinct.files.parquet import read_table, write_parquet
from xtinct.files.schema import QUARANTINE
from xtinct.generators.randomised import randomised_copies
from xtinct.generators.sampling import read_statistics


def build_copies(
    structures: str | Path,
    splits: str | Path,
    statistics: str | Path,
    *,
    kind: str,
    split: str,
    lines: Mapping[str, Any],
    symprec: float,
    seed: int,
    structures_out: str | Path,
    lines_out: Mapping[str, str | Path],
    quarantine_out: str | Path,
    manifest_out: str | Path,
) -> dict[str, int]:
    """Write the copies of the test crystals and their line lists; the dataset is called cddd-`kind`.

    kind        coordinates, lattice or both
    splits      table of STRUCTURE_SPLITS; its column `split` (`splits.cddd`) says what the test crystals are
    statistics  file of `gcdd_statistics.learn_part`, which new lattices are drawn from
    lines       the configuration's `lines`
    symprec     tolerance at which moyo must find the group of the original in the copy
    lines_out   family -> file to write (schema LINES)

    Returns counts: received (test crystals), accepted, quarantined (no right copy, or no lines).
    """
    dataset = f"cddd-{kind}"
    config = {"lines": dict(lines), "split": split, "kind": kind, "symprec": symprec}
    with tempfile.TemporaryDirectory() as folder:
        parts = {family: Path(folder, f"{family}.parquet") for family in lines_out}
        copies = randomised_copies(
            structures,
            read_statistics(statistics),
            kind=kind,
            seed=seed,
            symprec=symprec,
            structures_out=structures_out,
            quarantine_out=Path(folder, "copies.parquet"),
            only=ids_of_part(splits, part="test", split=split),
        )
        cddd.build_shard(
            structures_out,
            lines=lines,
            split="random",
            fractions={"test": 1.0},
            seed=seed,
            shard=0,
            shards=1,
            lines_out=parts,
            quarantine_out=Path(folder, "lines.parquet"),
            dataset=dataset,
        )
        for family, out in lines_out.items():
            cddd.merge([parts[family]], out=out, seed=seed, config=config, dataset=dataset)
        rejected = [row for name in ("copies", "lines") for row in _rows(Path(folder, f"{name}.parquet"))]
    rejected.sort(key=lambda row: row["structure_id"])
    write_parquet(quarantine_out, [pa.Table.from_pylist(rejected, schema=QUARANTINE)], QUARANTINE)
    manifest = write_manifest(
        manifest_out,
        dataset=dataset,
        tables=lines_out,
        seed=seed,
        config=config,
        quarantine=quarantine_out,
        received=copies["received"],
    )
    return {name: manifest[name] for name in ("received", "accepted", "quarantined")}


def _rows(path: Path) -> list[dict[str, Any]]:
    return read_table(path).to_pylist()
