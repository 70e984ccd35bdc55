"""The reference names everything there is: tables, columns, and what `import xtinct` offers."""

from xtinct.files import schema
from xtinct.project import reference_pages


def test_committed_pages_are_those_of_the_code(root):
    for path, text in reference_pages.written(root).items():
        stale = f"{path.name} is out of date: python -m xtinct.project.reference_pages"
        assert path.read_text(encoding="utf-8") == text, stale


def test_every_column_stands_with_its_type_and_unit():
    sections = dict(section.split("\n", 1) for section in reference_pages.tables_text().split("\n## ")[1:])
    assert set(sections) == set(reference_pages.PLACES)
    lines = sections["lines"].splitlines()
    assert "| `d_star` | list of float32 | 1/angstrom | 1/d of each line, ascending |" in lines
    assert "| `a` | float64 | angstrom | cell parameter a of the conventional cell |" in lines
    assert all(f"| `{name}` |" in sections["predictions"] for name in schema.PREDICTIONS.names)
    assert "| `raw_sha256` | string or null |" in sections["quarantine"]
