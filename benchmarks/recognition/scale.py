"""Time and memory of a large table: structures of TABLE over again, with cells drawn anew.

    python benchmarks/recognition/scale.py TABLE.parquet [--structures 530000]

Prints the size of the file, seconds to load it and to screen one pattern (the second time: compiled), and the
most memory that the process ever had, beside that before the table was loaded.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.files.parquet import write_parquet
from xtinct.files.schema import RECOGNITION
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.peak_shapes import Profile
from xtinct.recognition.known_structures import load_table
from xtinct.recognition.recognising import rank
from xtinct.recognition.screening import screen
from xtinct.recognition.targets import from_peaks


def repeated(path, structures, out):
    """Write rows of a table over and over, each copy at another scale and with other places of its lines."""
    random = np.random.default_rng(0)

    def batches():
        left = structures
        while left:
            for batch in pq.ParquetFile(path).iter_batches(4096):
                rows = batch.slice(0, left)
                place = rows["place"]
                values = np.asarray(place.flatten(), dtype=np.int64)
                scale = np.repeat(random.integers(-400, 400, len(rows)), np.diff(np.asarray(place.offsets)))
                moved = np.clip(values + scale + random.integers(-20, 20, len(values)), 0, 65535)
                offsets = pa.array(np.asarray(place.offsets) - place.offsets[0].as_py(), pa.int32())
                lists = pa.ListArray.from_arrays(offsets, pa.array(moved.astype(np.uint16)))
                at = RECOGNITION.get_field_index("place")
                yield pa.Table.from_batches([rows]).set_column(at, RECOGNITION.field(at), lists)
                left -= len(rows)
                if not left:
                    return

    write_parquet(out, batches(), RECOGNITION)


def some_peaks(n=40):
    random = np.random.default_rng(1)
    two_theta = np.sort(random.uniform(12, 85, n))
    ones = np.ones(n)
    area = random.exponential(1.0, n)
    return Peaks(two_theta, 0.01 * ones, area, 0.02 * area, 0.12 * ones, ones, 1.540593, Profile())


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--structures", type=int, default=530_000)
    parser.add_argument("--ready", action="store_true", help="TABLE has been repeated already")
    options = parser.parse_args()
    if not options.ready:
        with tempfile.TemporaryDirectory() as folder:
            import subprocess
            import sys

            large = Path(folder) / "large.parquet"
            repeated(options.table, options.structures, large)
            print(f"{options.structures} structures, {large.stat().st_size / 2**20:.0f} MiB")
            # In a process of its own, whose memory is that of recognition alone.
            subprocess.run([sys.executable, __file__, str(large), "--ready"], check=True)
        return
    targets = from_peaks(some_peaks(), 5.0, 90.0)
    before = memory()
    begun = time.perf_counter(), time.process_time()
    table = load_table(options.table)
    loaded = time.perf_counter(), time.process_time()
    print(f"load: {loaded[0] - begun[0]:.2f} s ({loaded[1] - begun[1]:.2f} s of the processor)")
    screen(table, targets, np.arange(100))
    for _ in range(2):
        begun = time.process_time()
        screen(table, targets)
        print(f"screen: {time.process_time() - begun:.2f} s")
    print(f"memory: {before:.0f} MiB before, {memory():.0f} MiB at most")
    rank(table, np.arange(1000), targets)
    begun = time.process_time()
    rank(table, np.arange(len(table)), targets)
    print(f"screen, refine and score: {time.process_time() - begun:.2f} s")


if __name__ == "__main__":
    main()
