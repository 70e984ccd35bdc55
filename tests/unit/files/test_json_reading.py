"""JSON that is damaged, or made to harm: one line that names the file."""

import pytest

from xtinct.errors import XtinctError
from xtinct.files import json_reading
from xtinct.files.json_reading import read_json
from xtinct.files.writing import write_json


def test_what_was_written_comes_back(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, 2.5, None], "ü": "x"})
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, None], "ü": "x"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not readable JSON"),
        (b'{"a": 1', "not readable JSON"),
        (b"\xff\xfe", "not readable JSON"),
        (b"[" * 200_000 + b"]" * 200_000, r"nested too deep"),
        (b"[" + b"9" * 5000 + b"]", r"not readable JSON \(Exceeds the limit"),
    ],
    ids=["empty", "cut", "binary", "deep", "long number"],
)
def test_what_is_no_json_is_named(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(XtinctError, match=message) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_or_no_file_is_named(tmp_path):
    with pytest.raises(XtinctError, match=r"b\.json: no such file; run it$"):
        read_json(tmp_path / "b.json", "run it")
    with pytest.raises(XtinctError, match=r"cannot be read \(Is a directory\)"):
        read_json(tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json_reading, "_LARGEST", 100)
    (tmp_path / "a.json").write_text(" " * 101 + "1")
    with pytest.raises(XtinctError, match="102 bytes"):
        read_json(tmp_path / "a.json")
