"""A build whose data lie elsewhere: DVC and Snakemake against servers of S3 and HTTP on loopback."""

import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.cluster, pytest.mark.slow]

BUCKET = "xtinct"
CIF = """data_x
_symmetry_Int_Tables_number 221
_symmetry_space_group_name_H-M 'P m -3 m'
_cell_length_a {0}
_cell_length_b {0}
_cell_length_c {0}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_symmetry_equiv_pos_as_xyz
'x, y, z'
'-x, -y, z'
'z, x, y'
'y, x, -z'
'-x, -y, -z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cs1 Cs 0 0 0 1
Cl1 Cl 0.5 0.5 0.5 1
"""


@pytest.fixture(scope="module")
def bucket():
    """Address of an S3 server with an empty bucket."""
    for package in ("dvc_s3", "moto", "flask_cors", "snakemake_storage_plugin_s3"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package}: tests/cluster/requirements.txt names the packages")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not listens(port):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server did not come up"
            time.sleep(0.2)
        store(address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def reaching(bucket):
    """Function that lets a clone's commands reach the bucket, which is its DVC remote s3."""
    keys = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "any", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "any"}
    keys |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}

    def reach(clone):
        path = os.pathsep.join([clone.environment["PYTHONPATH"], os.environ.get("PYTHONPATH", "")])
        clone = clone.elsewhere(clone.path, **keys, PYTHONPATH=path)
        clone.run("dvc", "remote", "add", "--local", "s3", f"s3://{BUCKET}/build")
        clone.run("dvc", "remote", "modify", "--local", "s3", "endpointurl", bucket)
        return clone

    return reach


def listens(port):
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def store(address):
    """Client of the server, which takes any keys."""
    import boto3

    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=address, **keys)


def objects(address):
    """Number of what the bucket holds, a thousand at most."""
    return store(address).list_objects_v2(Bucket=BUCKET)["KeyCount"]


def test_push_clone_pull_and_adopt_from_a_bucket_leave_nothing_to_do(built, bucket, reaching, tmp_path):
    """A fresh clone has byte by byte what the bucket was given, and makes nothing again."""
    made = reaching(built)
    made.run("dvc", "push", "--remote", "s3")
    patterns = ("data/**/*.parquet", "models/**/*.safetensors", "results/*.*")
    files = {name: content for pattern in patterns for name, content in made.files(pattern).items()}
    files = {name: content for name, content in files.items() if not name.startswith("data/cache/")}
    assert 0 < len(set(files.values())) <= objects(bucket)

    made.run("git", "clone", "--quiet", made.path, tmp_path / "pulled")
    pulled = reaching(made.elsewhere(tmp_path / "pulled"))
    assert pulled.stale_stages(), "nothing is there before the pull"
    pulled.run("dvc", "pull", "--remote", "s3")
    pulled.run("xtinct", "adopt")
    assert pulled.snakemake_would_run() == set()
    assert pulled.stale_stages() == set()
    assert {name: (pulled.path / name).read_bytes() for name in files} == files


@pytest.fixture
def outputs_in_the_bucket(new_clone, bucket, reaching):
    """A clone whose bucket holds what the project carries, and options that make its other files there."""
    clone = reaching(new_clone())
    for name in ("data/prototypes/aflow_prototypes.parquet", "data/patterns/patterns.parquet"):
        store(bucket).upload_file(str(clone.path / name), BUCKET, f"outputs/{name}")
    return clone, [
        *("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/outputs"),
        *("--storage-s3-endpoint-url", bucket),
    ]


def test_snakemake_makes_its_outputs_in_a_bucket_as_on_a_disk(built, bucket, outputs_in_the_bucket):
    clone, options = outputs_in_the_bucket
    names = [
        "data/raw/aflow.parquet",
        "data/symmetry/extinction_classes.parquet",
        "models/ulbd/cubic/seed-0/model.safetensors",
    ]
    clone.run("snakemake", *options, "--cores", "1", "--", "fetch", "symmetry", names[-1])
    for name in names:
        there = store(bucket).get_object(Bucket=BUCKET, Key=f"outputs/{name}")["Body"].read()
        assert there == (built.path / name).read_bytes(), name
        assert not (clone.path / name).exists()


def test_the_profile_of_kubernetes_plans_jobs_in_the_bucket(outputs_in_the_bucket):
    """As far as a dry run goes: options and bucket are understood; no pod runs."""
    if importlib.util.find_spec("snakemake_executor_plugin_kubernetes") is None:
        pytest.skip("no snakemake-executor-plugin-kubernetes")
    clone, options = outputs_in_the_bucket
    profile = ("--workflow-profile", "profiles/kubernetes")
    planned = clone.run("snakemake", *profile, *options, "-n", "--forceall", "--", "fetch", "symmetry")
    assert f"s3://{BUCKET}/outputs/data/raw/aflow.parquet" in planned.stdout + planned.stderr


# --- sources that lie elsewhere ----------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, whose requests nobody is told of."""

    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder, and the address at which its files are served."""
    if importlib.util.find_spec("snakemake_storage_plugin_http") is None:
        pytest.skip("no snakemake-storage-plugin-http: pip install '.[http]'")
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield folder, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(20)


def archive(path, edges):
    """A zip of cubic structures of caesium chloride with these edges, in angstrom."""
    with zipfile.ZipFile(path, "w") as whole:
        for number, edge in enumerate(edges):
            whole.writestr(f"{number}.cif", CIF.format(edge))


def fetched(clone, name, *options):
    """The rows of a source, and whether Snakemake had to fetch them."""
    out = f"data/raw/{name}.parquet"
    done = clone.run("snakemake", *options, "--cores", "1", "--", out)
    return pq.read_table(clone.path / out), "rule fetch_source:" in done.stdout + done.stderr


def test_a_source_is_read_through_http_and_from_a_bucket(new_clone, reaching, bucket, served):
    folder, address = served
    archive(folder / "mine.zip", [3.5, 4.0, 4.5])
    store(bucket).upload_file(str(folder / "mine.zip"), BUCKET, "mine.zip")
    places = {"here": folder / "mine.zip", "http": f"{address}/mine.zip", "s3": f"s3://{BUCKET}/mine.zip"}
    sources = "".join(f"\n  {name}: {{kind: files, path: '{path}'}}" for name, path in places.items())
    clone = reaching(new_clone(lambda text: text.replace("\nsources:", f"\nsources:{sources}", 1)))
    options = ("--storage-s3-endpoint-url", bucket)

    here, _ = fetched(clone, "here")
    assert here.num_rows == 3
    for name in ("http", "s3"):
        rows, _ = fetched(clone, name, *options)
        # Text by text the same, and of the same version: the digest of the content.
        for column in ("cif", "source_version", "error"):
            assert rows.column(column) == here.column(column), (name, column)
        assert fetched(clone, name, *options) == (rows, False), "nothing has changed there"

    archive(folder / "mine.zip", [3.5, 4.0, 4.5, 5.0])
    later = time.time() + 60
    os.utime(folder / "mine.zip", (later, later))
    rows, again = fetched(clone, "http", *options)
    assert (rows.num_rows, again) == (4, True), "the server says that its file is newer"
