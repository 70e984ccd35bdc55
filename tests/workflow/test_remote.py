"""A build whose data lie in a bucket: DVC and Snakemake against an S3 server on loopback."""

import importlib.util
import os
import socket
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.cluster, pytest.mark.slow]

BUCKET = "xtinct"


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
        clone = type(clone)(clone.path, {**clone.environment, **keys, "PYTHONPATH": path})
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
    pulled = reaching(type(made)(tmp_path / "pulled", made.environment))
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
    planned = clone.run("snakemake", *profile, *options, "-n", "--", "fetch", "symmetry")
    assert f"s3://{BUCKET}/outputs/data/raw/aflow.parquet" in planned.stdout + planned.stderr
