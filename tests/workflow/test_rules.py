"""What every rule of the workflow has, and what Snakemake's own linter says of it."""

import os
import re
import textwrap

import pytest

from xtinct.project.digests import source_files
from xtinct.project.dvc_stages import imported_modules, read_rules
from xtinct.symmetry.operations import DATA

pytestmark = pytest.mark.workflow

ORDER = (
    "input", "output", "log", "benchmark", "priority", "wildcard_constraints", "threads", "resources",
    "params", "script",
)  # fmt: skip


@pytest.fixture(scope="module")
def scripted(root):
    """Name -> text of every rule that runs a script; `name` of those made as `name-experiment`."""
    texts = "\n".join(path.read_text() for path in sorted((root / "rules").glob("*.smk")))
    found = {}
    for block in re.split(r"^(?=rule |for |def |# )", texts, flags=re.M):
        if name := re.match(r"rule (\w+):", block):
            found[name[1]] = block
        elif name := re.search(r'^            f"(\w+)-\{name\}"$', block, flags=re.M):
            found[name[1]] = textwrap.dedent(block[block.index("    rule:\n") :])
    return {name: block for name, block in found.items() if "\n    script:" in block}


def test_a_rule_its_script_and_its_log_have_one_name(root, scripted):
    assert len(scripted) > 25
    for name, block in scripted.items():
        assert f'"../workflow/scripts/{name}.py"' in block
        assert re.search(rf'"logs/{name}(/[^"]+)?\.log"', block), name
        assert re.search(rf'"logs/{name}(/[^"]+)?\.tsv"', block), name
    assert {path.stem for path in (root / "workflow/scripts").glob("*.py")} == set(scripted)


def test_every_rule_digests_the_code_behind_its_script(root):
    for name, rule in read_rules(root).items():
        if rule.script:
            behind = set(source_files(*imported_modules(root / rule.script)))
            assert behind <= set(source_files(*rule.digested)), name


def test_every_rule_says_what_it_needs_in_one_order(scripted):
    for name, block in scripted.items():
        fields = [field for field in re.findall(r"^    (\w+):", block, flags=re.M) if field != "name"]
        assert fields == [field for field in ORDER if field in fields], name
        assert {"output", "log", "benchmark", "resources", "params", "script"} <= set(fields), name
        assert re.search(r"mem_mb=sized\(\d", block), name
        assert re.search(r"runtime=sized\(\d", block), name


def test_snakemakes_linter_finds_one_thing_which_is_meant(new_clone):
    """Environments per rule: the Snakefile says why there are none."""
    clone = new_clone()
    done = clone.ask("snakemake", "--lint", check=False)
    text = done.stdout + done.stderr
    titles = set(re.findall(r"^    \* (.+?):?$", text, flags=re.M))
    assert titles == {"Specify a conda environment or container for each rule."}, text
    assert "asks for a conda environment or container for each rule" in (clone.path / "Snakefile").read_text()


def test_snakemake_looks_for_jobs_when_one_has_ended_and_not_ever_more_often(new_clone):
    """Its limit of jobs in a second makes it look again a second after every look."""
    files = ("data/links/aflow.json", "results/ceilings.csv", "data/symmetry/extinction_classes.parquet")
    done = new_clone().run("snakemake", "--cores", "1", "--verbose", *files)
    assert 1 <= (done.stdout + done.stderr).count("Ready jobs: ") <= len(files)


def test_captions_of_the_report_are_there(root):
    texts = "\n".join(path.read_text() for path in [root / "Snakefile", *(root / "rules").glob("*.smk")])
    named = set(re.findall(r"workflow/report/([\w{}]+)\.rst", texts))
    tables = {"accuracy", "training", "confusion", "counts"}
    assert {path.stem for path in (root / "workflow/report").glob("*.rst")} == named - {"{table}"} | tables


def test_what_a_job_asks_for_grows_with_what_it_reads_and_with_every_try(root, tmp_path):
    text = (root / "rules" / "common.smk").read_text()
    start = text.index("def sized")
    namespace = {"os": os}
    exec(text[start : text.index("def asks_for")], namespace)
    for name, size in (("a", 70), ("b", 30)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size * 2**20)

    class File(str):
        is_storage = False

    class InABucket(File):
        is_storage = True

    class Read(list):
        """What is elsewhere Snakemake asks for its size."""

        size_mb = 1000

    asked = namespace["sized"](2000, 4)
    read = Read([File(tmp_path / "a"), File(tmp_path / "b")])
    assert [asked(None, read, attempt) for attempt in (1, 2)] == [2400, 4800]
    assert asked(None, Read([*read, InABucket("c")]), 1) == 6000
    # Before the inputs are made nothing is known of them, which Snakemake expects in this form, nor asked.
    with pytest.raises(FileNotFoundError) as found:
        asked(None, Read([*read, File(tmp_path / "c")]), 1)
    assert found.value.filename == str(tmp_path / "c")
    assert namespace["sized"](2000)(None, None, 1) == 2000


def test_the_packaged_symmetry_tables_are_what_the_rule_symmetry_tables_makes(new_clone):
    clone = new_clone()
    clone.run("snakemake", "--cores", "1", "symmetry_tables")
    packaged = {f"data/symmetry/{path.name}": path.read_bytes() for path in DATA.glob("*.parquet")}
    assert len(packaged) == 3
    assert clone.files("data/symmetry/*.parquet") == packaged
