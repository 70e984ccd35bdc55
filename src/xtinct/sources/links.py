"""What lets DVC follow the folders and files of sources, whose paths only the configuration knows.

DVC watches paths that dvc.yaml names. `data/links/NAME` is such a path for every source: a link to what the
source reads, so that DVC sees every edit of it, at any depth; an empty file for a source of the network.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.files.writing import write_json
from xtinct.sources.listing import local_path


def link_source(paths: Sequence[str], out: str | Path) -> None:
    """Make the link beside `out` ("data/links/NAME.json") and write to `out` where it leads.

    `paths`: what the source reads, none or one. XtinctError if there is something else in the link's place.
    """
    out = Path(out)
    link = out.with_suffix("")
    out.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir() and not link.is_symlink():
        raise XtinctError(f"{link}: a folder stands where the pipeline keeps a link; move it elsewhere")
    link.unlink(missing_ok=True)
    if paths:
        (path,) = map(local_path, paths)
        # Relative, so that a checkout can be moved.
        link.symlink_to(path if path.is_absolute() else os.path.relpath(path, out.parent))
    else:
        link.touch()
    write_json(out, {"paths": list(paths)}, indent=None)
