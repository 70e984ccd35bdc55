import pyarrow.parquet as pq

from xtinct.files.quarantine import Quarantine
from xtinct.files.schema import QUARANTINE, check_table


def test_every_record_keeps_its_reason_and_the_stage_that_rejected_it(tmp_path):
    before = Quarantine("gcdd")
    before.add("s:b", "no_right_copy", "50 draws")
    assert before.write(tmp_path / "before.parquet") == 1
    quarantine = Quarantine("cddd")
    quarantine.add("s:c", "bad_cell", "no cell", raw_sha256="0f")
    quarantine.add("s:a", "no_lines", "no line up to 1/d = 1")
    quarantine.read(tmp_path / "before.parquet")
    assert len(quarantine) == quarantine.write(tmp_path / "q.parquet") == 3
    table = pq.read_table(tmp_path / "q.parquet")
    check_table(table, QUARANTINE, "q")
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("s:a", "cddd", "no_lines", "no line up to 1/d = 1", None),
        ("s:b", "gcdd", "no_right_copy", "50 draws", None),
        ("s:c", "cddd", "bad_cell", "no cell", "0f"),
    ]
