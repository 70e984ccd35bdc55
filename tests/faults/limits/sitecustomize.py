"""Each job of a workflow holds itself to the memory that its rule asks for: put this folder on PYTHONPATH.

Python imports this module when it starts. In a job of Snakemake the kernel then refuses what is beyond
`mem_mb` of writable memory (RLIMIT_DATA, of each process), and the job says that it has not enough.
"""

import ast
import os
import pickle
import re
import resource
import sys
from pathlib import Path


def _asked(script: Path) -> tuple[str, int] | None:
    """Rule and `mem_mb` of a job, which Snakemake writes into the first lines of its script."""
    found = re.search(r"pickle\.loads\((b(['\"]).*?\2)\);", script.read_text(encoding="utf-8"))
    if found is None:
        return None
    job = pickle.loads(ast.literal_eval(found[1]))
    return job.rule, int(job.resources.mem_mb)


if len(sys.orig_argv) > 1 and ".snakemake/scripts/" in sys.orig_argv[-1]:
    asked = _asked(Path(sys.orig_argv[-1]))
    if asked is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (asked[1] * 10**6,) * 2)
        if "XTINCT_MEMORY_ASKED" in os.environ:
            with Path(os.environ["XTINCT_MEMORY_ASKED"]).open("a", encoding="utf-8") as file:
                file.write(f"{asked[0]} {asked[1]}\n")
