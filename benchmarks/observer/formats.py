"""Read the real files of formats.csv, and print a table of what was read or why not.

    python benchmarks/observer/formats.py CLONES

CLONES holds clones of the repositories, as for laboratories.py.
"""

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.measurements import PeakTable, read_measurements

sys.path.insert(0, str(Path(__file__).parent))
from laboratories import content


def outcome(path: Path) -> str:
    """What is read of a file, or the message that refuses it."""
    try:
        scans = read_measurements(path)
    except XtinctError as error:
        return f"refused: {str(error).replace(str(path), path.name)}"
    except Exception as error:  # a fault of the reader is what this looks for
        return f"**{type(error).__name__}: {error}**"
    first = scans[0]
    scan = f"{len(scans)} scans; the first: " if len(scans) > 1 else ""
    if isinstance(first, PeakTable):
        return f"{scan}{len(first.d)} peaks"
    radiation = first.radiation
    waves = "wavelength not told" if radiation is None else f"{radiation.wavelength:.6g}"
    if radiation is not None and radiation.second:
        waves += f" and {radiation.second:.6g}"
    angles = f"{len(first.two_theta)} points, {first.two_theta[0]:g} to {first.two_theta[-1]:g} degrees"
    return f"{scan}{angles}; {waves}" + ("; uncertainties" if first.sigma is not None else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("clones", type=Path)
    options = parser.parse_args()
    with (Path(__file__).parent / "formats.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    print("| format | file | outcome | s |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for row in rows:
            data = content(options.clones, row["repository"], row["path"])
            name = row["path"].rpartition("/")[2]
            if data is None:
                print(f"| {row['format']} | {row['repository']}: `{name}` | not there | |")
                continue
            path = Path(place) / name
            path.write_bytes(data)
            begun = time.process_time()
            said = outcome(path).replace("|", "/")
            print(
                f"| {row['format']} | {row['repository']}: `{name}` | {said} | "
                f"{time.process_time() - begun:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
