"""Temporary clones of the project, and one build in them that the tests share."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

#: snakemake and dvc of this environment come first for every command, and for those it runs.
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "GIT_CONFIG_GLOBAL": os.devnull,
}


@dataclass(frozen=True)
class Clone:
    """A checkout of the project in a temporary folder."""

    path: Path

    def run(self, *command, cores=None, check=True):
        """Run a command; `cores` limits the processors that it and its children see."""

        def limit():
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=limit if cores else None,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
        return done

    def snakemake_would_run(self, *arguments):
        """Names of the rules of a dry run; empty where there is nothing to do."""
        done = self.run("snakemake", "--dry-run", "--cores", "1", *arguments, "--", "all")
        text = done.stdout + done.stderr
        rules = {
            line.split()[1].rstrip(":")
            for line in text.splitlines()
            if line.startswith(("rule ", "localrule "))
        }
        assert bool(rules) != ("Nothing to be done" in text), text
        return rules - {"all"}

    def stale_stages(self):
        """Names of the DVC stages that are out of date."""
        import json

        return set(json.loads(self.run("dvc", "status", "--json").stdout))

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


def copy_of_the_checkout(root, path):
    """The project as it stands, with changes that are not committed, as a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (root / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, path / name)
    clone = Clone(path)
    clone.run("git", "init", "--quiet", "--initial-branch", "main")
    return clone


@pytest.fixture(scope="session")
def new_clone(root, tmp_path_factory):
    """Function that makes a clone with smoke.yaml as its configuration."""

    def make(change=None):
        clone = copy_of_the_checkout(root, tmp_path_factory.mktemp("clone"))
        clone.write_config(change)
        clone.commit("Start")
        return clone

    return make


@pytest.fixture(scope="session")
def built(new_clone):
    """A clone in which plain Snakemake has made everything. Tests leave it as it is."""
    clone = new_clone()
    clone.run("snakemake", "--cores", "2", "all")
    return clone
