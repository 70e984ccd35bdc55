"""Builds of the small configuration in clones of the last commit, for the campaigns of faults."""

import base64
import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What of a build tells of no clock; and what it makes.
COMPARED = (".parquet", ".safetensors")
OUTPUTS = ("data/**/*", "models/**/*", "results/**/*")
#: What a build reads, or what it keeps to spare work.
NO_OUTPUTS = ("data/prototypes/", "data/patterns/", "data/cache/")
#: The library of this checkout, so that nothing is compiled anew.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}


@dataclass(frozen=True)
class Build:
    """A clone, and what Snakemake shall make in it: a rule or a file."""

    folder: Path
    cores: int = 2
    target: str = "all"
    environment: dict[str, str] = field(default_factory=lambda: ENVIRONMENT)

    def clone(self) -> "Build":
        """Make the clone: the last commit with the small configuration."""
        subprocess.run(["git", "clone", "--quiet", ROOT, self.folder], check=True)
        (self.folder / "config/config.yaml").write_text((self.folder / "config/smoke.yaml").read_text())
        return self

    def command(self, *options: str) -> list[str]:
        """Snakemake on the target, or on files and rules that come last among the options."""
        return ["snakemake", "--quiet", "all", "--cores", str(self.cores), *(options or [self.target])]

    def run(self, *words: str, limit: float | None = None) -> subprocess.CompletedProcess:
        """A command in the clone; `limit`: seconds that it may take."""
        return subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
            timeout=limit,
        )  # fmt: skip

    def files(self) -> list[str]:
        """Outputs of the build, hidden files and what it reads not among them."""
        return sorted(
            name
            for pattern in OUTPUTS
            for path in self.folder.glob(pattern)
            if path.is_file()
            and not path.name.startswith(".")
            and not (name := path.relative_to(self.folder).as_posix()).startswith(NO_OUTPUTS)
        )

    def contents(self) -> dict[str, bytes]:
        """Bytes of all outputs."""
        return {name: (self.folder / name).read_bytes() for name in self.files()}

    def records(self) -> dict[str, dict]:
        """What Snakemake has recorded of each output: its rule, inputs, log and more. No torn ones."""
        folder, found = self.folder / ".snakemake/metadata", {}
        for path in folder.rglob("*"):
            with suppress(OSError, ValueError):  # a folder, or written while the disk was full
                name = path.relative_to(folder).as_posix().replace("/@", "")
                found[base64.urlsafe_b64decode(name).decode()] = json.loads(path.read_text())
        return found

    def empty(self) -> None:
        """Remove all that was built."""
        for name in ("data", "models", "results", "shards", "logs", ".snakemake"):
            for path in (self.folder / name).glob("*"):
                if name != "data" or path.name not in ("prototypes", "patterns"):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def unlock(self) -> None:
        """Remove the lock of a run that was killed, as `snakemake --unlock` does after some seconds."""
        for path in (self.folder / ".snakemake/locks").glob("*"):
            path.unlink()


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """Files that only one has, or whose bytes differ where they tell of no clock."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if (one.get(name) is None or other.get(name) is None)
        or (name.endswith(COMPARED) and one[name] != other[name])
    ]


def last_line(text: str) -> str:
    """The line of a message that tells most: the project's own, or the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next(
        (line for line in lines if line.startswith("xtinct: error")),
        ([line for line in lines if "rror" in line] or lines)[-1] if lines else "",
    )[:300]
