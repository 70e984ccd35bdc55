"""Runs snakemake and dvc in forks of a process that has imported them: most of a dry run is imports.

Reads a line of JSON for each command, "words", "cwd", "environment" and the files "stdout" and "stderr",
and prints its exit status. Variables that Python reads when it starts are those of this process, but for
PYTHONPATH, to which a command may add.
"""

import importlib
import json
import os
import sys
from importlib.metadata import entry_points

#: Besides the commands themselves: what they import when they run.
MODULES = (
    "dvc.cli.parser",
    "dvc.repo.index",
    "dvc.repo.status",
    "dvc_render",
    "nbformat.v4",
    "ruamel.yaml",
    "scmrepo.git",
    "smart_open",
    "snakemake.api",
    "snakemake.linting",
    "snakemake.report.html_reporter",
    "xtinct.project.configuration",
    "xtinct.project.contradictions",
    "xtinct.project.digests",
    "xtinct.project.place",
    "xtinct.sources.fetching",
)


def enter(job):
    """Make this process that of the command."""
    for descriptor, path in enumerate((os.devnull, job["stdout"], job["stderr"])):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.path += [path for path in os.environ["PYTHONPATH"].split(os.pathsep) if path not in ("", *sys.path)]
    os.chdir(job["cwd"])
    sys.argv = job["words"]


def main():
    scripts = entry_points(group="console_scripts")
    commands = {name: scripts[name].load() for name in ("snakemake", "dvc")}
    for name in MODULES:
        importlib.import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        else:
            enter(job)
            return commands[job["words"][0]]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
