import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.files.schema import STRUCTURES
from xtinct.generators.crystal_statistics import learn_to_file
from xtinct.generators.sampling import read_statistics
from xtinct.structures.cleaning import clean_or_reject

CLEANING = {
    "symprec": 0.01,
    "second_finder": False,
    "disordered": "keep",
    "missing_hydrogen": "keep",
    "max_gap": 0,
    "max_sites": 2000,
    "min_distance": 0.3,
    "protostructures": False,
}


@pytest.fixture(scope="session")
def structures(tmp_path_factory):
    """Table of every second embedded prototype, cleaned."""
    rows = []
    for row in pq.read_table("data/prototypes/aflow_prototypes.parquet").to_pylist()[::2]:
        raw = {
            "structure_id": f"aflow:{row['source_id']}",
            "cif": row["cif"],
            "spacegroup_declared": row["spacegroup_number"],
            "source": "aflow",
            "source_version": "1",
            "licence": "BSD-3-Clause",
            "error": "",
        }
        table, cleaned = clean_or_reject(raw, CLEANING)
        if table == "structures":
            rows.append(cleaned)
    rows.sort(key=lambda row: row["structure_id"])
    path = tmp_path_factory.mktemp("real") / "structures.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=STRUCTURES), path)
    return path


@pytest.fixture(scope="session")
def statistics_path(structures, tmp_path_factory):
    path = tmp_path_factory.mktemp("learned") / "statistics.json"
    learn_to_file(structures, path)
    return path


@pytest.fixture(scope="session")
def statistics(statistics_path):
    return read_statistics(statistics_path)
