"""Where sets of measured patterns lie on this disk, and digests of it: what the workflow asks first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xtinct.sources.listing import content_digest, local_path

#: Patterns that the project carries, relative to its folder.
CARRIED_PATTERNS = "data/patterns/patterns.parquet"


def pattern_inputs(config: Mapping[str, Any], project: str | Path = "") -> list[str]:
    """Local files and folders that a configured set reads (for the workflow's inputs)."""
    if config["kind"] == "carried":
        return [str(Path(project, CARRIED_PATTERNS))]
    return [str(config["path"])] if "path" in config else []


def pattern_content(config: Mapping[str, Any], kept: str | Path, project: str | Path = "") -> list[str]:
    """Digests of what `pattern_inputs` names; `kept` spares reading again what has not changed."""
    return [content_digest(local_path(path), "*", Path(kept)) for path in pattern_inputs(config, project)]
