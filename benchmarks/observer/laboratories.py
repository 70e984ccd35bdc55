"""Gather the patterns of laboratories.csv into a folder that evaluate.py reads.

    python benchmarks/observer/laboratories.py CLONES OUT

laboratories.csv says where a measured pattern lies, with which wavelength (empty: the file says it), and its
cell and group. No spectrum is kept in this project: CLONES holds clones of the repositories that it names, as
CLONES/OWNER+NAME, from

    git clone https://github.com/OWNER/NAME CLONES/OWNER+NAME

OUT becomes a folder with the files and truth.csv. Files are taken from the commit that the table names where
the clone has it, else from the newest one; what is not there is named, and left out.

Rows of the second collection were listed, with cell, group and where these come from (`truth`), before any
answer was asked for. The hash of repository and path made two halves: the misses of A were looked into, and
what they showed of readers was mended; B was looked at once, at the end.
"""

import argparse
import csv
import subprocess
from pathlib import Path

TABLE = Path(__file__).parent / "laboratories.csv"
#: What evaluate.py reads of each file.
FIELDS = "file source scan wavelength axis spacegroup_number a b c alpha beta gamma".split()  # noqa: SIM905


def content(clones: Path, repository: str, path: str, commit: str) -> bytes | None:
    """A file of a commit, or of the newest one, of a clone with or without a work tree; None where absent."""
    folder = clones / repository.replace("/", "+")
    folder = folder / "repo" if (folder / "repo").is_dir() else folder
    for revision in filter(None, (commit, "HEAD")):
        command = ["git", "-C", str(folder), "show", f"{revision}:{path}"]
        run = subprocess.run(command, capture_output=True, check=False)
        if run.returncode == 0:
            return run.stdout
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clones", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with TABLE.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    found = []
    for number, row in enumerate(rows):
        data = content(options.clones, row["repository"], row["path"], row["commit"])
        if data is None:
            print(f"{row['repository']}: no {row['path']}")
            continue
        name = f"{number:02d}-{Path(row['path']).name.replace(' ', '_')}"
        (options.out / name).write_bytes(data)
        found.append({**row, "file": name})
    with (options.out / "truth.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, FIELDS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    print(f"{len(found)} of {len(rows)} patterns in {options.out}")


if __name__ == "__main__":
    main()
