"""Running servers with real structures, for the faults of network sources."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest
from loopback_servers import (
    ROOT,
    SHARED,
    Gateway,
    MaterialsProject,
    OpenDatabase,
    cod_entry,
    free_port,
    optimade_line,
)
from pymatgen.core import Lattice, Structure

from xtinct.structures.crystal import RejectedError
from xtinct.structures.parsing import expand, read_listing


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Loopback is reached directly, whatever the environment says of proxies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "*")
        yield


@pytest.fixture(scope="session")
def prototypes() -> list[dict]:
    """The embedded structures: CIF text, and the same crystal as pymatgen holds it."""
    rows = pq.read_table(ROOT / "data/prototypes/aflow_prototypes.parquet").to_pylist()[:700]
    found = []
    for row in rows:
        try:
            crystal = expand(read_listing(row["cif"]), max_sites=200, min_distance=0.0)
        except RejectedError:
            continue
        species = [dict(site) for site in crystal.species]
        structure = Structure(Lattice.from_parameters(*crystal.cell), species, crystal.frac)
        found.append({**row, "structure": structure})
    return found


@pytest.fixture(scope="session")
def mp_documents(prototypes) -> list[dict]:
    small = [row for row in prototypes if len(row["structure"]) <= 30]
    return [
        {
            "material_id": f"mp-{number}",
            # Every 60th stands for an entry of GNoME.
            "license": "BY-NC" if number % 60 == 0 else "BY-C",
            "elements": sorted(str(element) for element in row["structure"].composition.elements),
            "nsites": len(row["structure"]),
            "symmetry": {"number": row["spacegroup_number"], "symbol": "not used"},
            "structure": row["structure"].as_dict(),
        }
        for number, row in enumerate(small[:420], start=1)
    ]


@pytest.fixture(scope="session")
def materials_project(mp_documents) -> Iterator[MaterialsProject]:
    server = MaterialsProject(mp_documents)
    yield server
    server.close()


@pytest.fixture(scope="session")
def cod_entries(prototypes) -> dict[str, dict]:
    """Entries of the COD where they are at hand, and always 60 prototypes dressed as such."""
    entries = {}
    for number, row in enumerate(prototypes[:60]):
        identifier, revision = str(9_900_000 + number), str(280_000 + number)
        formula = row["structure"].composition.formula
        tags = f"_cod_database_code {identifier}\n_chemical_formula_sum '{formula}'\n"
        text = re.sub(r"_chemical_formula_sum.*\n", "", row["cif"])
        text = re.sub(r"^(data_).*\n", f"data_{identifier}\n{tags}", text, count=1, flags=re.MULTILINE)
        entries[identifier] = cod_entry(identifier, revision, f"#$Revision: {revision} $\n{text}")
    entries["9900003"]["duplicateof"] = "9900001"
    entries["9900004"]["status"] = "retracted"
    entries["9900005"]["cif"] = re.sub(
        r"^(data_.*)", r"\1\n_cod_error_flag retracted", entries["9900005"]["cif"], flags=re.M
    )
    entries["9900006"]["status"] = "warnings"
    del entries["9900007"]["cif"]
    if (SHARED / "cod_and_zeolites.parquet").exists():
        for row in pq.read_table(SHARED / "cod_and_zeolites.parquet").to_pylist():
            text = row["cif"]
            identifier, revision = (
                re.search(r"^data_(\d{7})\s", text, re.M),
                re.search(r"Revision: (\d+)", text),
            )
            if identifier and revision:
                mark = re.search(r"^_cod_duplicate_entry\s+(\d+)", text, re.M)
                entries[identifier[1]] = cod_entry(
                    identifier[1], revision[1], text, **({"duplicateof": mark[1]} if mark else {})
                )
    return entries


@pytest.fixture(scope="session")
def open_database(cod_entries) -> Iterator[OpenDatabase]:
    server = OpenDatabase({})
    yield server
    server.close()


@pytest.fixture(scope="session")
def optimade_structures(prototypes) -> dict[str, Structure]:
    ordered = [row for row in prototypes if row["structure"].is_ordered]
    whole = [row for row in ordered if len(row["structure"]) <= 40 and "D" not in row["structure"].symbol_set]
    return {f"aflow-{number:03d}": row["structure"] for number, row in enumerate(whole[:70])}


@pytest.fixture(scope="session")
def reference_server(optimade_structures, tmp_path_factory) -> Iterator[str]:
    """Address of the consortium's own server, with real structures in its in-memory database."""
    pytest.importorskip("uvicorn", reason="the OPTIMADE reference server is not installed")
    pytest.importorskip("mongomock", reason="the OPTIMADE reference server is not installed")
    folder = tmp_path_factory.mktemp("optimade")
    lines = [{"x-optimade": {"meta": {"api_version": "1.2.0"}}}]
    lines += [optimade_line(name, structure) for name, structure in optimade_structures.items()]
    # A layer is no crystal in three dimensions.
    layer = optimade_line("layer", next(iter(optimade_structures.values())))
    layer["attributes"].update(dimension_types=[1, 1, 0], nperiodic_dimensions=2)
    lines.append(layer)
    (folder / "structures.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    (folder / "config.json").write_text(
        json.dumps(
            {
                "insert_test_data": False,
                "insert_from_jsonl": str(folder / "structures.jsonl"),
                "database_backend": "mongomock",
                "log_dir": str(folder),
                "page_limit_max": 500,
            }
        )
    )
    port = free_port()
    with (folder / "stderr.txt").open("wb") as stderr:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port)],
            env={**os.environ, "OPTIMADE_CONFIG_FILE": str(folder / "config.json")},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/v1/info", timeout=5):
                break
            assert server.poll() is None, (folder / "stderr.txt").read_text()[-2000:]
            time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def gateway(reference_server) -> Iterator[Gateway]:
    server = Gateway(reference_server)
    yield server
    server.close()
