import io
import subprocess
import sys
import tarfile
import zipfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.errors import XtinctError
from xtinct.files.schema import RAW, check_table
from xtinct.sources import archives
from xtinct.sources.fetching import fetch, source_addresses, source_inputs
from xtinct.structures.parsing import read_listing

CIF = "data_{0}\n_cell_length_a 5\n"


@pytest.fixture
def fetched(tmp_path):
    def run(config, name="own"):
        out = tmp_path / "raw" / "own.parquet"
        counts = fetch(name, config, out)
        table = pq.read_table(out)
        check_table(table, RAW, str(out))
        assert table.num_rows == counts["received"]
        return table.to_pylist()

    return run


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def write_tar(path, members, mode):
    with tarfile.open(path, mode) as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))


def errors(rows):
    return {row["structure_id"]: row["error"].partition(":")[0] for row in rows if row["error"]}


def test_folder_is_read_in_order_of_names(fetched, tmp_path):
    folder = tmp_path / "cifs"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.cif", "A.CIF", "deep/c.cif", "notes.txt"):
        (folder / name).write_text(CIF.format(name[0]))
    rows = fetched({"kind": "files", "path": str(folder), "licence": "CC0-1.0"})
    assert [row["structure_id"] for row in rows] == ["own:A.CIF", "own:b.cif", "own:deep/c.cif"]
    assert {row["licence"] for row in rows} == {"CC0-1.0"}
    assert rows[1]["cif"] == CIF.format("b")


def test_version_is_a_digest_of_the_content(fetched, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "a.cif").write_text(CIF.format("a"))
    config = {"kind": "files", "path": str(folder)}
    before = fetched(config)[0]["source_version"]
    assert fetched(config)[0]["source_version"] == before
    (folder / "a.cif").write_text(CIF.format("b"))
    assert fetched(config)[0]["source_version"] != before
    assert fetched({**config, "version": "v7"})[0]["source_version"] == "v7"


def test_a_link_out_of_the_folder_is_not_followed(fetched, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    (tmp_path / "secret.cif").write_text("secret")
    (folder / "a.cif").symlink_to(tmp_path / "secret.cif")
    (folder / "b.cif").write_text(CIF.format("b"))
    rows = fetched({"kind": "files", "path": str(folder)})
    assert errors(rows) == {"own:a.cif": "unsafe_path"}
    assert "secret" not in rows[0]["cif"]


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_archives_give_their_members(fetched, tmp_path, form):
    members = {"x/b.cif": CIF.format("b"), "a.cif": CIF.format("a"), "readme.txt": "no"}
    path = tmp_path / f"archive.{form}"
    if form == "zip":
        write_zip(path, members)
    else:
        write_tar(path, members, {"tar": "w", "tgz": "w:gz"}.get(form, f"w:{form[4:]}"))
    rows = fetched({"kind": "files", "path": str(path)})
    assert {row["structure_id"]: row["cif"] for row in rows} == {
        "own:x/b.cif": CIF.format("b"),
        "own:a.cif": CIF.format("a"),
    }


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_paths_out_of_the_archive_are_refused(fetched, tmp_path, form):
    members = {name: CIF.format("a") for name in ("../../evil.cif", "/etc/evil.cif", "good.cif")}
    path = tmp_path / f"archive.{form}"
    write_zip(path, members) if form == "zip" else write_tar(path, members, "w:gz")
    rows = fetched({"kind": "files", "path": str(path)})
    assert set(errors(rows).values()) == {"unsafe_path"}
    assert len(errors(rows)) == 2
    assert not (tmp_path.parent / "evil.cif").exists()


def test_links_in_a_tar_are_refused(fetched, tmp_path):
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("link.cif")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    rows = fetched({"kind": "files", "path": str(path)})
    assert errors(rows) == {"own:link.cif": "unreadable"}


def test_decompression_bombs_stop_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 2**20)
    zeros = "\0" * 2**26
    write_zip(tmp_path / "bomb.zip", {"a.cif": zeros})
    # Not even a member that is passed over may be unpacked without end.
    write_tar(tmp_path / "bomb.tar.bz2", {"a.txt": zeros}, "w:bz2")
    for name in ("bomb.zip", "bomb.tar.bz2"):
        with pytest.raises(XtinctError, match="decompression bomb") as error:
            fetch("own", {"kind": "files", "path": str(tmp_path / name)}, tmp_path / "out.parquet")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out.parquet").exists()


def test_a_text_that_is_too_long_costs_only_itself(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TEXT_BYTES", 1000)
    write_zip(tmp_path / "a.zip", {"long.cif": "x" * 1001, "good.cif": "x" * 1000})
    rows = fetched({"kind": "files", "path": str(tmp_path / "a.zip")})
    assert errors(rows) == {"own:long.cif": "too_large"}


def test_a_damaged_member_costs_only_itself(fetched, tmp_path):
    path = tmp_path / "a.zip"
    text = CIF.format("a") * 50
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("bad.cif", text)
        archive.writestr("good.cif", CIF.format("b"))
    data = path.read_bytes()
    path.write_bytes(data.replace(text.encode(), text.replace("5", "6").encode(), 1))
    assert zlib.crc32(text.encode()) != zlib.crc32(text.replace("5", "6").encode())
    assert errors(fetched({"kind": "files", "path": str(path)})) == {"own:bad.cif": "unreadable"}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_whose_compressed_bytes_are_damaged_costs_only_itself(fetched, tmp_path, method):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("bad.cif", " ".join(str(7919 * number) for number in range(1000)))
        archive.writestr("good.cif", CIF.format("b"))
    data = bytearray(path.read_bytes())
    start = 30 + len("bad.cif")
    data[start + 10 : start + 40] = b"\xff" * 30
    path.write_bytes(data)
    assert errors(fetched({"kind": "files", "path": str(path)})) == {"own:bad.cif": "unreadable"}


def test_a_tar_whose_compressed_bytes_are_damaged_stops_with_one_line(tmp_path):
    path = tmp_path / "a.tar.gz"
    write_tar(path, {"a.cif": CIF.format("a") * 500}, "w:gz")
    data = bytearray(path.read_bytes())
    for place in range(12, len(data) - 8, 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            found = list(archives.texts(path, "*", "sources.own"))
        except XtinctError as error:
            found = [(str(error), "", "")]
        assert all("\n" not in name for name, *_ in found)


@pytest.mark.parametrize("name", [".", "./", "a:b.cif", "//a.cif", "\\..\\a.cif"])
def test_names_that_are_no_names(tmp_path, name):
    path = tmp_path / "a.zip"
    write_zip(path, {name: "x", "good.cif": "y"})
    found = {name: text for name, text, error in archives.texts(path, "*", "s") if not error}
    assert found in ({"good.cif": "y"}, {".": "x", "good.cif": "y"})


def test_a_tar_of_many_entries_takes_no_memory_for_them(tmp_path):
    """tarfile keeps 500 bytes for each entry that it has passed: half a gigabyte for a million."""
    path = tmp_path / "a.tar"
    write_tar(path, {f"{number}.txt": "" for number in range(8000)}, "w")
    # In a process of its own: threads of earlier tests allocate in this one.
    program = (
        "import sys, tracemalloc\n"
        "from pathlib import Path\n"
        "from xtinct.sources.archives import texts\n"
        "read = lambda: list(texts(Path(sys.argv[1]), '*.cif', 's'))\n"
        "assert read() == []  # imports what it needs\n"
        "tracemalloc.start()\n"
        "assert read() == []\n"
        "print(tracemalloc.get_traced_memory()[1])\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak < 1_000_000


def test_a_truncated_archive_stops_with_one_line(tmp_path):
    path = tmp_path / "a.tar.gz"
    write_tar(path, {f"{i}.cif": CIF.format(i) * 500 for i in range(50)}, "w:gz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(XtinctError, match="damaged archive"):
        fetch("own", {"kind": "files", "path": str(path)}, tmp_path / "out.parquet")


def test_binary_files_and_other_encodings(fetched, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "a.cif").write_bytes(b"PK\0\0")
    (folder / "b.cif").write_bytes("data_b\n# Müller\n".encode("latin-1"))
    (folder / "c.cif").write_bytes(b"\xef\xbb\xbfdata_c\n")
    rows = fetched({"kind": "files", "path": str(folder)})
    assert errors(rows) == {"own:a.cif": "unreadable"}
    assert [row["cif"][:6] for row in rows[1:]] == ["data_b", "data_c"]


def test_table_with_duplicates_and_gaps(fetched, tmp_path):
    path = tmp_path / "own.parquet"
    columns = {
        "id": ["x", "y", "x", None, "z"],
        "text": ["1", "2", "3", "4", None],
        "group": [225, 0, None, 1, 999],
    }
    pq.write_table(pa.table(columns), path)
    config = {
        "kind": "files",
        "path": str(path),
        "id_column": "id",
        "cif_column": "text",
        "spacegroup_column": "group",
    }
    rows = fetched(config)
    assert [row["cif"] for row in rows] == ["1", "2", "3", "4", ""]
    assert [row["spacegroup_declared"] for row in rows] == [225, 0, 0, 0, 0]
    ids = ["own:x", "own:y", "own:x#2", "own:row-4", "own:z"]
    assert [row["structure_id"] for row in rows] == ids
    assert [row["error"].partition(":")[0] for row in rows] == ["", "", "duplicate_id", "missing_id", "empty"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"g": ["225"]}, r"sources\.own\.spacegroup_column: column 'g' is string, expected numbers"),
        ({"g": [[225]]}, "expected numbers"),
        ({"g": [True]}, "column 'g' is bool, expected numbers"),
        ({"id": [[1]]}, r"sources\.own\.id_column: column 'id' is list<.*>, expected text or whole numbers"),
        ({"id": [b"x"]}, "expected text or whole numbers"),
        ({"cif": [b"x"]}, "expected text"),
    ],
)
def test_columns_of_the_wrong_kind_are_named(tmp_path, columns, message):
    pq.write_table(pa.table({"id": ["a"], "cif": ["data_x"], "g": [1], **columns}), tmp_path / "t.parquet")
    config = {
        "kind": "files", "path": str(tmp_path / "t.parquet"), "id_column": "id", "spacegroup_column": "g"
    }  # fmt: skip
    with pytest.raises(XtinctError, match=message):
        fetch("own", config, tmp_path / "own.parquet")


def test_numbers_of_groups_may_be_any_and_names_stay_on_their_line(fetched, tmp_path):
    groups = [225.0, 225.5, float("nan"), 1e30, -1.0]
    names = ["a\nb", "b", "c", "d", "e"]
    pq.write_table(
        pa.table({"material_id": names, "cif": ["data_x"] * 5, "g": groups}), tmp_path / "t.parquet"
    )
    rows = fetched({"kind": "files", "path": str(tmp_path / "t.parquet"), "spacegroup_column": "g"})
    assert [row["spacegroup_declared"] for row in rows] == [225, 0, 0, 0, 0]
    assert rows[0]["structure_id"] == "own:a\\x0ab"


def test_prototypes_hold_every_space_group(fetched):
    rows = fetched({"kind": "prototypes"}, name="aflow")
    assert {row["spacegroup_declared"] for row in rows} == set(range(1, 231))
    assert {row["licence"] for row in rows} == {"BSD-3-Clause"}
    assert len(rows) == 1091


def test_folders_of_poscars_are_read_and_other_names_are_named(tmp_path):
    folder = tmp_path / "runs"
    for name in ("a/POSCAR", "b/CONTCAR", "POSCAR_plain", "x.vasp", "NaCl.CIF", "spin.mcif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}")
    (folder / "OUTCAR").write_text("no structure")
    counts = fetch("own", {"kind": "files", "path": str(folder)}, tmp_path / "own.parquet")
    assert counts == {"received": 6, "errors": 0}
    only = {"kind": "files", "path": str(folder), "pattern": "OUT*|x.*"}
    assert fetch("own", only, tmp_path / "own.parquet")["received"] == 2
    with pytest.raises(XtinctError, match=r"holds no structure: no file in .*runs is named \*\.xyz; set"):
        fetch("own", {**only, "pattern": "*.xyz"}, tmp_path / "none.parquet")


def test_a_cif_of_several_structures_gives_an_entry_for_each(tmp_path):
    """As databases export them: a publication without sites, a text field like a block, a name twice."""
    cell = "_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n"
    cell += "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n_space_group_IT_number 221\n"
    sites = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"

    def block(name, element, more=""):
        return f"data_{name}\n{cell}{more}{sites}{element} 0 0 0\n"

    field = f"_publ_section_comment\n;\ndata_no block\n{sites};\n"
    blocks = [
        block("1-own", "Po", field),
        block("2-own", "Na").replace("site_f", "site.f"),
        block("1-own", "K"),
    ]
    (tmp_path / "many.cif").write_text("# exported\ndata_global\n_journal_year 2026\n" + "".join(blocks))
    (tmp_path / "one.cif").write_text("data_global\n" + block("it", "Cs"))
    counts = fetch("own", {"kind": "files", "path": str(tmp_path)}, tmp_path / "own.parquet")
    assert counts == {"received": 4, "errors": 0}
    rows = pq.read_table(tmp_path / "own.parquet").to_pylist()
    assert [row["structure_id"] for row in rows] == [
        *(f"own:many.cif#{name}" for name in ("1", "2-own", "3")),
        "own:one.cif",
    ]
    assert [read_listing(row["cif"]).symbols for row in rows] == [["Po"], ["Na"], ["K"], ["Cs"]]
    assert [row["cif"] for row in rows[:3]] == blocks


def test_inputs_are_what_a_source_reads(tmp_path):
    assert source_inputs({"kind": "files", "path": "a/b"}) == ["a/b"]
    assert source_inputs({"kind": "prototypes"}) == ["data/prototypes/aflow_prototypes.parquet"]


@pytest.mark.parametrize(
    "config",
    [{"kind": "files"}, {"kind": "cod-mirror", "exclude": [], "version": "1"}],
    ids=["files", "cod-mirror"],
)
def test_what_lies_elsewhere_is_no_local_input(config, tmp_path):
    """The workflow asks for it by its address, and opens the copy that it is given."""
    config = {**config, "path": "https://example.org/structures.zip"}
    assert source_inputs(config) == []
    assert source_addresses(config) == ["https://example.org/structures.zip"]
    with pytest.raises(XtinctError, match=r"^sources\.own\.path: https://.*: an address; only the workflow"):
        fetch("own", config, tmp_path / "own.parquet")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "database"}, r"sources\.own\.kind: 'database'"),
        ({"kind": "files"}, r"sources\.own\.path: missing"),
        ({"kind": "files", "path": "nowhere"}, r"sources\.own\.path: nowhere: no such"),
        ({"kind": "files", "path": "{tmp}", "colour": 1}, r"sources\.own\.colour: unknown key"),
        ({"kind": "files", "path": "{tmp}"}, "holds no structure"),
        ({"kind": "files", "path": "{tmp}/t.parquet"}, r"sources\.own\.id_column: .*no column 'material_id'"),
        (
            {"kind": "files", "path": "{tmp}/t.parquet", "id_column": "cif", "cif_column": "n"},
            "expected text",
        ),
        ({"kind": "files", "path": "{tmp}/broken.parquet"}, "not a readable Parquet file"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, config, message):
    pq.write_table(pa.table({"cif": ["a"], "n": [1]}), tmp_path / "t.parquet")
    (tmp_path / "broken.parquet").write_text("no")
    config = {key: str(value).format(tmp=tmp_path) for key, value in config.items()}
    with pytest.raises(XtinctError, match=message) as error:
        fetch("own", config, tmp_path / "out" / "own.parquet")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("out/*"))
