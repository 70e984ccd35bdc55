"""The bridges between Snakemake and DVC: `xtinct snapshot` and `xtinct adopt`."""

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from xtinct.errors import XtinctError
from xtinct.extras import what_to_install

_NOTHING_TO_DO = "Nothing to be done"


def snapshot() -> None:
    """Record in DVC what a plain Snakemake run has made; refuse while anything is out of date."""
    _require("snakemake")
    if not Path("dvc.yaml").is_file():
        raise XtinctError("dvc.yaml: no such file; run this in the project's folder")
    reason = _snakemake_needs()
    if reason:
        raise XtinctError(
            f"snapshot: the outputs are not up to date ({reason}); run `snakemake --cores all all` first"
        )
    _make_empty_outputs()
    _run("dvc", "commit", "--force", "--quiet")


def _make_empty_outputs() -> None:
    """Make the folders that a stage makes before its jobs, of which a configuration may ask for none.

    DVC wants every output of a stage to be there.
    """
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage in stages.values():
        for folders in re.findall(r"mkdir -p ([^&]+)&&", stage.get("do", stage)["cmd"]):
            for folder in folders.split():
                Path(folder).mkdir(parents=True, exist_ok=True)


def adopt() -> None:
    """Tell Snakemake that the files DVC brought are up to date; refuse if they are not DVC's."""
    _require("dvc")
    _link_sources()
    status = json.loads(_run("dvc", "status", "--json").stdout)
    if status:
        raise XtinctError(
            f"adopt: {len(status)} DVC stages are out of date ({', '.join(sorted(status)[:3])}, ...); "
            "run `dvc pull` or `dvc repro`, and see `dvc status`"
        )
    _refuse_damaged()
    _run("snakemake", "--touch", "--forceall", "--cores", "1", "--quiet", "all", "--", "all")
    reason = _snakemake_needs()
    if reason:
        raise XtinctError(f"adopt: Snakemake still wants to run jobs ({reason}); see `snakemake -n all`")


def _refuse_damaged() -> None:
    """XtinctError for a file whose bytes are not the recorded ones, which DVC's own status does not read."""
    from xtinct.project.verification import UNRECORDED, verify

    damaged = [found for found in verify().differences if found.kind != UNRECORDED]
    if damaged:
        others = f" (and {len(damaged) - 1} more, see `xtinct verify`)" if len(damaged) > 1 else ""
        raise XtinctError(
            f"adopt: {damaged[0].path} is {damaged[0].kind}: its bytes are not those that DVC has recorded"
            f"{others}; DVC's cache or remote is damaged: delete .dvc/cache and pull again, or build it anew"
        )


def _link_sources() -> None:
    """Make the links through which DVC sees sources and patterns: they are not among what it brings."""
    from xtinct.auditing.pattern_paths import pattern_inputs
    from xtinct.project.configuration import load
    from xtinct.sources.fetching import source_inputs
    from xtinct.sources.links import link_source

    config = load()
    for name, source in config["sources"].items():
        link_source(source_inputs(source), f"data/links/{name}.json")
    for name, patterns in config["patterns"].items():
        link_source(pattern_inputs(patterns), f"data/links/patterns/{name}.json")


def _snakemake_needs() -> str:
    """Why Snakemake would run something, in a few words; empty if it would not."""
    output = _run("snakemake", "--dry-run", "--cores", "1", "--", "all")
    text = output.stdout + output.stderr
    if _NOTHING_TO_DO in text:
        return ""
    rules = {
        line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith(("rule ", "localrule "))
    }
    return "to run: " + ", ".join(sorted(rules - {"all"}))


def _require(tool: str) -> None:
    if importlib.util.find_spec(tool) is None:
        raise XtinctError(what_to_install(tool))


def _run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run snakemake or dvc of this environment; XtinctError with its last line if it fails."""
    _require(tool)
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = lines[-1].strip() if lines else "failed"
        if "not a git repository" in said:
            # A downloaded archive: DVC takes it for itself only when told so.
            said += "; `git init` makes it one, `dvc config --local core.no_scm true` does without"
        raise XtinctError(f"{tool} {' '.join(arguments)}: {said}")
    return done
