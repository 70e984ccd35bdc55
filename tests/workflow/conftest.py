"""Temporary clones of the project, and one build in them that the tests share."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest


class Preloaded:
    """A process in whose forks snakemake and dvc run without their imports, which take longer than a plan."""

    def __init__(self, environment):
        program = Path(__file__).with_name("preloaded_commands.py")
        self.process = subprocess.Popen(
            [sys.executable, program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, words, cwd, environment):
        """What `subprocess.run` gives, with outputs as text."""
        with tempfile.TemporaryDirectory() as folder:
            outputs = {name: f"{folder}/{name}" for name in ("stdout", "stderr")}
            job = {"words": words, "cwd": str(cwd), "environment": environment, **outputs}
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            status = int(self.process.stdout.readline())
            said = {name: Path(path).read_text() for name, path in outputs.items()}
        return subprocess.CompletedProcess(words, status, **said)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@dataclass(frozen=True)
class Clone:
    """A checkout of the project in a temporary folder."""

    path: Path
    environment: dict
    preloaded: Preloaded

    def elsewhere(self, path, **variables):
        """Another folder, with the same tools and further variables."""
        return replace(self, path=path, environment={**self.environment, **variables})

    def run(self, *command, cores=None, check=True):
        """Run a command; `cores` limits the processors that it and its children see."""

        def limit():
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=limit if cores else None,
        )
        return _ended_well(done) if check else done

    def ask(self, *command, check=True):
        """Run what makes nothing, in a process that has imported snakemake and dvc before."""
        done = self.preloaded.run([str(word) for word in command], self.path, self.environment)
        return _ended_well(done) if check else done

    def snakemake_would_run(self, target="all"):
        """Names of the rules of a dry run; empty where there is nothing to do."""
        done = self.ask("snakemake", "--dry-run", "--cores", "1", target)
        text = done.stdout + done.stderr
        rules = {
            line.split()[1].rstrip(":")
            for line in text.splitlines()
            if line.startswith(("rule ", "localrule "))
        }
        assert bool(rules) != ("Nothing to be done" in text), text
        return rules - {target}

    def stale_stages(self):
        """Names of the DVC stages that are out of date."""
        return set(json.loads(self.ask("dvc", "status", "--json").stdout))

    def write_config(self, change=None):
        """Make smoke.yaml the configuration, after `change` has had its text."""
        text = (self.path / "config" / "smoke.yaml").read_text()
        (self.path / "config" / "config.yaml").write_text(change(text) if change else text)

    def commit(self, message):
        """Commit everything that git does not ignore."""
        self.run("git", "add", "--all")
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        self.run("git", *identity, "commit", "--quiet", "--message", message)

    def files(self, pattern):
        """Bytes of every file that matches, by its path."""
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes()
            for path in sorted(self.path.glob(pattern))
        }


def _ended_well(done):
    output = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, f"{' '.join(map(str, done.args))}\n...{output[-4000:]}"
    return done


def files_of(root, *options):
    """Paths of what belongs to the checkout, changes that are not committed included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *options],
        cwd=root,
        capture_output=True,
        check=True,
    )
    return [name for name in filter(None, listed.stdout.decode().split("\0")) if (root / name).is_file()]


def copy(root, names, target):
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        # Times are kept: compiled code beside the library is taken for current by them.
        shutil.copy2(root / name, target / name)


@pytest.fixture(scope="session")
def environment(root, tmp_path_factory):
    """Variables under which clones run: the tools of this environment, and the library as it is now.

    The library is a copy, so that nothing that is edited during the tests counts. Its compiled code is that
    of the checkout, so that all processes of the tests share it and nothing is compiled twice.
    """
    library = tmp_path_factory.mktemp("library")
    copy(root, files_of(root, "--", "src"), library)
    for folder in {path.parent for path in library.glob("src/**/*.py")}:
        compiled = root / folder.relative_to(library) / "__pycache__"
        compiled.mkdir(exist_ok=True)
        (folder / "__pycache__").symlink_to(compiled)
    # What spares threads to tests side by side is no part of a build; what Python compiles is kept as well.
    unset = ("OMP_NUM_THREADS", "PYTHONDONTWRITEBYTECODE")
    return {
        **{key: value for key, value in os.environ.items() if key not in unset},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(library / "src"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


@pytest.fixture(scope="session")
def preloaded(environment):
    process = Preloaded(environment)
    yield process
    process.close()


@pytest.fixture(scope="session")
def new_clone(root, environment, preloaded, tmp_path_factory):
    """Function that makes a repository of the project as it stands, with smoke.yaml as its configuration."""

    def make(change=None):
        clone = Clone(tmp_path_factory.mktemp("clone"), environment, preloaded)
        copy(root, files_of(root), clone.path)
        clone.run("git", "init", "--quiet", "--initial-branch", "main")
        clone.write_config(change)
        clone.commit("Start")
        return clone

    return make


@pytest.fixture(scope="session")
def built(new_clone):
    """A clone in which plain Snakemake has made everything and DVC recorded it; tests do not change it."""
    clone = new_clone()
    clone.run("snakemake", "--cores", "2", "all")
    assert clone.snakemake_would_run() == set()
    clone.run("xtinct", "snapshot")
    clone.commit("Record the build")
    return clone
