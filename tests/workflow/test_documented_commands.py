"""Every command and every example of the documentation is run, in a cheap form of the same command.

`COMMANDS` says how: a command that stands in the documentation and not here fails the test.
"""

import re
import shlex
import subprocess
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from rock_salt import ROCK_SALT

from xtinct.project import configuration

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "config/README.md",
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")),
]
#: First words of what is taken for a command.
PROGRAMS = {
    "cat", "cd", "conda", "cp", "dvc", "git", "hf", "kill", "make", "mv", "pip", "ps", "python", "rm",
    "rsync", "sbatch", "scancel", "snakemake", "source", "squeue", "torchrun", "ulimit", "xtinct",
}  # fmt: skip

AS_IT_IS = "as it is"
#: Only what would be done: `-n` of snakemake and make.
DRY = "dry run"
#: The own help must know every option: where the command takes data, a key, a finished build or long.
HELP = "help"
#: The extra is there; pip itself would only warn of one that is not.
EXTRA = "grep -q '^{} = \\[' pyproject.toml"

#: Words after the program that name what its help is asked of.
SUBCOMMANDS = {
    "add",
    "app",
    "adopt",
    "bench",
    "classes",
    "checkout",
    "commit",
    "describe",
    "export",
    "index",
    "lines",
    "metrics",
    "plots",
    "predict",
    "pull",
    "recognise",
    "score",
    "share",
    "show",
    "snapshot",
    "status",
    "train",
    "upload",
    "verify",
}

#: Command as documented -> how it is run, or another command that stands for it.
COMMANDS = {
    # README.md
    "make all": DRY,
    "make test": DRY,
    "make test-slow": DRY,
    # docs/reliability.md
    "make fuzz": DRY,
    "make test-faults": DRY,
    "make fuzz-guided": DRY,
    "make fuzz-guided KIND=measured": DRY,
    "source .venv/bin/activate": "grep -q '^VENV := .venv$' Makefile",
    "snakemake --cores 64 all": DRY,
    "snakemake -n all": AS_IT_IS,
    "dvc repro": "dvc repro --dry symmetry",  # a dry run of DVC stops at the first file not yet made
    "dvc repro --dry": "dvc repro --dry symmetry",
    "xtinct ceilings": AS_IT_IS,
    "snakemake --cores all all": DRY,
    "snakemake --cores all cddd": DRY,
    "snakemake --cores all --forcerun train all": DRY,
    "xtinct train ulbd cubic": AS_IT_IS,
    "xtinct train --help": AS_IT_IS,
    "dvc exp run -S config/config.yaml:train.learning_rate=0.001": (
        "dvc exp run --dry -S config/config.yaml:train.learning_rate=0.001 symmetry"
    ),
    "dvc metrics show": HELP,
    "dvc plots show": HELP,
    "dvc pull": HELP,
    "snakemake --report FILE.html": HELP,
    "torchrun": HELP,
    "xtinct describe data/ulbd/cubic.parquet": "xtinct describe data/prototypes/aflow_prototypes.parquet",
    "xtinct snapshot": HELP,
    "xtinct adopt": HELP,
    "xtinct predict PATTERN...": HELP,
    "xtinct index PATTERN": "xtinct index NaCl.xy --wavelength 1.5406 --family cubic",
    "xtinct classes": AS_IT_IS,
    "xtinct lines FILE": "xtinct lines NaCl.cif --plot lines.svg",
    "xtinct predict": HELP,
    "xtinct index": HELP,
    "pip install .": "pip install --dry-run --no-deps --no-build-isolation --quiet .",
    "pip install '.[workflow]'": EXTRA.format("workflow"),
    "pip install '.[classical]'": EXTRA.format("classical"),
    "pip install '.[share]'": EXTRA.format("share"),
    # docs/architecture.md and docs/configuration.md
    "python -m pytest tests/unit/test_rooms.py": "python -m pytest --collect-only tests/unit/test_rooms.py",
    "python -m xtinct.project.keys.reference": AS_IT_IS,
    "xtinct dvc-stages": AS_IT_IS,
    # benchmarks, and the report
    "snakemake --report": HELP,
    "xtinct train": HELP,
    "xtinct bench": HELP,
    "xtinct export": HELP,
    # config/README.md
    "xtinct check": AS_IT_IS,
    "snakemake --cores all --configfile config/smoke.yaml -- all": DRY,
    "snakemake --cores all --configfile config/config.yaml --config seed=7 -- all": DRY,
    "git clone . ../smoke": "git clone --quiet . ../smoke",
    "cd ../smoke && cp config/smoke.yaml config/config.yaml && make env && dvc repro": (
        "cd ../smoke && cp config/smoke.yaml config/config.yaml && make -n env && dvc repro --dry symmetry"
    ),
    "snakemake --cores all --directory ../elsewhere all": DRY,
    # docs
    "snakemake --cores 1 gcdd": DRY,
    "xtinct bench crystals": HELP,
    "snakemake --cores all gcdd": DRY,
    "snakemake --cores all measured": DRY,
    "xtinct verify": HELP,
    # docs/index.md and docs/tutorials
    "make env": DRY,
    "make docs": DRY,
    "python -m xtinct.project.reference_pages": AS_IT_IS,
    "snakemake --cores 2 --configfile config/zoo.yaml -- evaluate": DRY,
    "pip install snakemake-executor-plugin-slurm": (
        "grep -q 'snakemake-executor-plugin-slurm' profiles/slurm/config.yaml pyproject.toml"
    ),
    "xtinct describe FILE": "xtinct describe lines.parquet",
    "snakemake -n --configfile config/smoke.yaml -- all": AS_IT_IS,
    "xtinct describe data/structures/structures.parquet": HELP,
    "xtinct describe data/structures/quarantine.parquet": HELP,
    # What the tutorial builds, in a folder of its own, and the two tables that it describes.
    "snakemake --cores all structures": (
        'rules=$PWD/Snakefile && cd ../own && snakemake --cores 1 --snakefile "$rules" --configfile own.yaml '
        "-- structures && "
        "xtinct describe data/structures/structures.parquet | grep '1 rows' && "
        "xtinct describe data/structures/quarantine.parquet | grep '1 rows'"
    ),
    "xtinct predict salt.xy --wavelength 1.5406": "xtinct predict NaCl.xy --wavelength 1.5406 --family cubic",
    "xtinct predict salt.xy --wavelength 1.5406 --family cubic --prior mp": (
        "xtinct predict NaCl.xy --wavelength 1.5406 --family cubic --prior mp"
    ),
    "xtinct predict salt.xy --wavelength 1.5406 --cell 5.64,5.64,5.64,90,90,90": (
        "xtinct predict NaCl.xy --wavelength 1.5406 --cell 5.64,5.64,5.64,90,90,90"
    ),
    "xtinct predict salt.xy --wavelength 1.5406 --plot salt.svg --cif salt.cif --json": (
        "xtinct predict NaCl.xy --wavelength 1.5406 --family cubic --plot salt.svg --cif salt.cif --json"
    ),
    "xtinct bench training": HELP,
    "snakemake --cores all --resources gpu=4 -- all": DRY,
    "torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:PORT --no-python "
    "xtinct train ulbd cubic": "torchrun --standalone --nproc-per-node 1 --no-python xtinct train --help",
    "snakemake --workflow-profile profiles/slurm all": HELP,
    "make test-cluster": DRY,
    "pip install '.[http]'": EXTRA.format("http"),
    "pip install '.[s3]'": EXTRA.format("s3"),
    "xtinct export data/ulbd/cubic.parquet --out patterns": (
        "xtinct export lines.parquet --out patterns && ls patterns/data/test.parquet patterns/README.md"
    ),
    # docs/data.md
    "xtinct score": HELP,
    "xtinct score predictions.csv --truth data/ulbd/cubic.parquet": HELP,
    "dvc commit": HELP,
    "xtinct describe": HELP,
    # docs/sharing.md; tests/workflow/test_build.py shares a whole build
    "xtinct share": HELP,
    "xtinct share ../shared": HELP,
    "hf auth login": "hf auth login --help",
    "hf upload USER/NAME ../shared . --repo-type dataset": HELP,
    # docs/interruptions.md
    "snakemake ...": HELP,
    "snakemake --unlock": HELP,
    "snakemake --cores all FILE": HELP,
    "snakemake --cores all --forceall all": DRY,
    "python tests/faults/campaign.py --help": AS_IT_IS,
    "dvc status": HELP,
    "dvc checkout FILE": HELP,
    "dvc checkout": HELP,
    "dvc checkout --force": HELP,
    "snakemake --directory FOLDER": HELP,
    "git init": "git init --quiet ../fresh",
    "dvc config --local core.no_scm true": "dvc config --help | grep -e --local",
    "kill -9": "command -v kill",
    "kill 24043": "command -v kill",
    "ulimit -v": "command -v ulimit",
    # docs/observer.md
    "xtinct index sample.xrdml": HELP,
    "xtinct index sample.xy --wavelength CuKa": "xtinct index NaCl.xy --wavelength CuKa1 --plot NaCl.svg",
    "xtinct index sample.xy --wavelength 1.5406 --family tetragonal --prior mp": HELP,
    "xtinct index sample.xy --wavelength CuKa --cell 4.6,4.6,2.96,90,90,90": HELP,
    "xtinct index lines.txt --peaks --axis d": HELP,
    "xtinct recognise": HELP,
    "snakemake --cores all recognition": DRY,
    "xtinct predict sample.xrdml": HELP,
    "xtinct predict sample.xy --wavelength CuKa": HELP,
    "xtinct predict lines.txt --peaks --axis d": HELP,
    "xtinct predict sample.xy --wavelength CuKa --elements Si,O --plot picture.svg --json": HELP,
    "xtinct predict sample.xrdml --database table.parquet": HELP,
    "xtinct predict sample.xy --wavelength CuKa --models models/ulbd": HELP,
    "xtinct predict --models FOLDER PATTERN...": (
        "xtinct predict --models models/ulbd NaCl.xy --wavelength 1.5406"
    ),
    # docs/app.md
    "pip install '.[app]'": EXTRA.format("app"),
    "xtinct app": HELP,
    "xtinct predict --prior": HELP,
    "xtinct app --database table.parquet --port 0 --no-browser": HELP,
    "xtinct classes --group 62": AS_IT_IS,
    # docs/crystals.md; tests/unit/crystals and tests/unit/test_cli.py run them as they are
    "xtinct classes --symbol Pbnm": HELP,
    'xtinct classes --hall "-P 2c 2ab"': HELP,
    "xtinct classes --family orthorhombic": HELP,
    "xtinct lines NaCl.cif": AS_IT_IS,
    "xtinct lines NaCl.cif --neutron --wavelength 1.8 --range 10 120 --csv": HELP,
    "xtinct lines NaCl.cif --plot lines.svg": HELP,
    "pip install '.[plot]'": EXTRA.format("plot"),
    "xtinct bench lines": HELP,
    "xtinct recognise PATTERN --database TABLE": HELP,
    "xtinct recognise sample.xrdml": HELP,
    "xtinct recognise sample.xy --wavelength CuKa --database table.parquet --elements Si,O --json": HELP,
    "xtinct index sample.xrdml --plot picture.svg --cif cell.cif --json": HELP,
    "xtinct index yttria.xy --wavelength CuKa --plot yttria.png": HELP,
    "xtinct index rutile.xy --wavelength CuKa --plot rutile.png": HELP,
    "xtinct index quartz.xy --wavelength CuKa --plot quartz.png": HELP,
    "xtinct index baddeleyite.xy --wavelength CuKa --plot baddeleyite.png": HELP,
    "xtinct index mixture.xy --wavelength CuKa --plot mixture.png": HELP,
    "xtinct index glass.xy --wavelength CuKa --plot glass.png": HELP,
}

#: A documented dataset -> that of the clone.
LINES = {"data/ulbd/cubic.parquet": "lines.parquet"}

#: First words of a Python example -> what must stand before it, and what to change to make it quick. None for
#: what is no program of its own.
EXAMPLES = {
    "import xtinct": (
        "import numpy, xtinct\n"
        "instrument = xtinct.Instrument.from_config(__import__('yaml').safe_load(open('config/config.yaml'))"
        "['instrument'])\n"
        "two_theta, counts = instrument.two_theta, xtinct.simulate('NaCl.cif', instrument)\n",
        {},
    ),
    # Needs the whole build; tests/unit/recognition asks the same.
    "import xtinct.recognition.recognising as recognition": None,
    "import torch": ("", {"64 * 600": "64 * 4", "64 * 20": "64 * 2", "total_steps=600": "total_steps=4"}),
    "from xtinct import predict": ("", {'"sample.xrdml"': '"NaCl.xy", "CuKa1"'}),
    # Needs the whole build; tests/unit/auditing asks the same.
    "from xtinct.auditing.pattern_sets import labelled_measurements": None,
    "from xtinct import index": ("", {'index("sample.xrdml")': 'index("NaCl.xy", "CuKa1")'}),
    "from xtinct import line_list, simulate": ("", {}),
    "from xtinct import XRDCalculator, lines": ("", {}),
    "import numpy as np": ("", {}),
    "import pyarrow.parquet as parquet": ("", LINES),
    "import yaml": ("", LINES),
    "from xtinct.observer.exact.exact_observer import Observer": (
        "import xtinct.api\npatterns = xtinct.ulbd_patterns(225, [[7, 7, 7, 90, 90, 90]], draws=1, seed=1)\n",
        {'family="all"': 'family="cubic"'},
    ),
    "from xtinct.measurements import read_measurement, read_measurements, read_peaks": (
        "open('lines.txt', 'w').write('27.367 8\\n31.704 100\\n45.448 55\\n53.869 2\\n56.477 15\\n')\n",
        {"sample.xrdml": "NaCl.xy", "ranges.raw": "NaCl.xy"},
    ),
    "import datasets, duckdb, pandas, polars": None,  # a whole build; tests/unit/publication reads one
    "module xtinct:": None,  # Snakemake's; tests/workflow/test_elsewhere.py has it
}


def fences(text):
    """(language, content) of every fenced block."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        yield found[1], found[2]


def is_command(line):
    words = line.split()
    return bool(words) and words[0] in PROGRAMS and not line.endswith(":")


def commands_of(document):
    """Commands in fenced blocks, comments taken off and continued lines joined, and in spans of code."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = []
    for language, content in fences(text):
        if language in ("", "sh", "bash", "shell", "console"):
            lines = [
                re.sub(r"\s+#.*", "", line).strip() for line in content.replace("\\\n", " ").splitlines()
            ]
            found += [" ".join(line.removeprefix("$ ").split()) for line in lines]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    found += [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]
    single = {"make", "git", "cat", "source", "pip", "python", "dvc", "snakemake", "xtinct"}  # named, not run
    return [command for command in found if is_command(command) and command not in single]


DOCUMENTED = sorted({command for document in DOCUMENTS for command in commands_of(document)})


def run(clone, command):
    """Run a line of a shell in the clone; its output."""
    environment = {**clone.environment, "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-ec", command], cwd=clone.path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def _late(command):
    """Clones are made before they are entered; the experiment that changes the configuration comes last."""
    return command.startswith("cd"), "exp run" in command


def in_cheap_form(clone, command, told):
    """Run it as COMMANDS says. `told`: what was said before by help, and by what stands for several."""
    how = COMMANDS[command]
    words = shlex.split(command)
    if how == AS_IT_IS:
        return run(clone, command)
    if how == DRY and words[0] == "snakemake":
        return clone.ask("snakemake", "-n", *words[1:])
    if how == DRY:
        return run(clone, shlex.join([words[0], "-n", *words[1:]]))
    if how == HELP:
        count = 1 + sum(word in SUBCOMMANDS for word in words)
        asked = (*words[:count], "--help")
        if asked not in told:
            if words[0] in ("snakemake", "dvc"):
                told[asked] = clone.elsewhere(clone.path, COLUMNS="200").ask(*asked).stdout
            else:
                told[asked] = run(clone, shlex.join(asked))
        said = told[asked]
        missing = {word for word in words if word.startswith("--")} - set(re.findall(r"--[\w-]+", said))
        assert not missing, f"{command}: no option {missing}"
        return said
    if how not in told:
        told[how] = run(clone, how)
    return told[how]


def prepare_own_structures(clone):
    """A folder beside the clone with structures of one's own, one of which is none, and a configuration."""
    mine = clone.path.parent / "own" / "data" / "mine"
    mine.mkdir(parents=True)
    (mine / "NaCl.cif").write_text(ROCK_SALT)
    (mine / "empty.cif").write_text("data_empty\n")
    config = yaml.safe_load((clone.path / "config/config.yaml").read_text())
    config["sources"] = {"mine": {"kind": "files", "path": "data/mine", "licence": "CC BY 4.0"}}
    (mine.parents[1] / "own.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


@pytest.fixture(scope="module")
def clone(new_clone):
    def small(text):
        config = yaml.safe_load(text)
        config["experiments"]["ulbd"]["patterns"] = 256
        return yaml.safe_dump(config, sort_keys=False)

    clone = new_clone(small)
    (clone.path / "NaCl.cif").write_text(ROCK_SALT)
    (clone.path.parent / "elsewhere").mkdir(exist_ok=True)
    prepare_own_structures(clone)
    # A model and a pattern, for what is said of patterns.
    run(clone, "xtinct train ulbd cubic")
    code = (
        "import numpy, xtinct, yaml; "
        "i = xtinct.Instrument.from_config(yaml.safe_load(open('config/config.yaml'))['instrument']); "
        "numpy.savetxt('NaCl.xy', numpy.column_stack([i.two_theta, xtinct.simulate('NaCl.cif', i)]))"
    )
    run(clone, f'python -c "{code}"')
    # A dataset of line lists, as a build makes it, but of one shard.
    code = (
        "import yaml; from xtinct.datasets.settings import UlbdSettings; "
        "from xtinct.datasets.ulbd import build_shard; "
        "from xtinct.files.shards import Shard; config = yaml.safe_load(open('config/config.yaml')); "
        "build_shard(UlbdSettings.from_config(config, 'cubic', seed=1), Shard(), 'lines.parquet')"
    )
    run(clone, f'python -c "{code}"')
    return clone


def test_every_documented_command_has_an_entry():
    assert set(DOCUMENTED) - COMMANDS.keys() == set(), "say in COMMANDS how they are run"
    assert COMMANDS.keys() - set(DOCUMENTED) == set(), "these stand in no document any more"
    assert len(DOCUMENTED) > 25


def test_every_documented_command_runs(clone):
    commands = [
        command for command in DOCUMENTED if command != "xtinct train ulbd cubic"
    ]  # the clone has run it
    # Snakemake and DVC lock the folder of a checkout: one after another; the others beside them.
    locking = sorted((c for c in commands if c.split()[0] in ("snakemake", "dvc", "git", "cd")), key=_late)
    told = {}
    with ThreadPoolExecutor(2) as pool:
        beside = pool.submit(lambda: [in_cheap_form(clone, c, told) for c in commands if c not in locking])
        for command in locking:
            in_cheap_form(clone, command, told)
        beside.result()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_examples_run(clone, document):
    for language, content in fences((ROOT / document).read_text(encoding="utf-8")):
        if language != "python":
            continue
        first = content.splitlines()[0]
        assert first in EXAMPLES, f"{document}: say in EXAMPLES how the example is run that begins {first!r}"
        if EXAMPLES[first] is None:
            continue
        before, changes = EXAMPLES[first]
        for old, new in changes.items():
            assert old in content
            content = content.replace(old, new)
        path = clone.path / "example.py"
        path.write_text(before + content)
        run(clone, "python example.py")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_examples_of_configurations_are_accepted(document, tmp_path, monkeypatch):
    (tmp_path / "my_package").mkdir()  # a network of the reader's own, as an example names it
    (tmp_path / "my_package/nets.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    whole = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    for language, content in fences((ROOT / document).read_text(encoding="utf-8")):
        if language != "yaml":
            continue
        changed = yaml.safe_load(textwrap.dedent(content))
        config = {**whole, **{k: v if k == "sources" else {**whole[k], **v} for k, v in changed.items()}}
        if "instrument" in changed:  # as the text before the example says
            config["lines"] = {**whole["lines"], "d_star_max": 0.94}
        configuration.check(config, where=document)
