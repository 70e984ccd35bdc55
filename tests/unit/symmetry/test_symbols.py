"""Extinction symbols against the literal entries of International Tables A (2006), Table 3.1.4.1."""

import pytest

from xtinct.symmetry.classes import extinction_classes, setting_classes
from xtinct.symmetry.families import space_groups

# Crystal system: extinction symbol -> space groups in standard settings, as printed.
ITA_TETRAGONAL = {
    "P - - -": (75, 81, 83, 89, 99, 111, 115, 123),
    "P - 21 -": (90, 113),
    "P 42 - -": (77, 84, 93),
    "P 42 21 -": (94,),
    "P 41 - -": (76, 78, 91, 95),
    "P 41 21 -": (92, 96),
    "P - - c": (105, 112, 131),
    "P - 21 c": (114,),
    "P - b -": (100, 117, 127),
    "P - b c": (106, 135),
    "P - c -": (101, 116, 132),
    "P - c c": (103, 124),
    "P - n -": (102, 118, 136),
    "P - n c": (104, 128),
    "P n - -": (85, 129),
    "P 42/n - -": (86,),
    "P n - c": (137,),
    "P n b -": (125,),
    "P n b c": (133,),
    "P n c -": (138,),
    "P n c c": (130,),
    "P n n -": (134,),
    "P n n c": (126,),
    "I - - -": (79, 82, 87, 97, 107, 119, 121, 139),
    "I 41 - -": (80, 98),
    "I - - d": (109, 122),
    "I - c -": (108, 120, 140),
    "I - c d": (110,),
    "I 41/a - -": (88,),
    "I a - d": (141,),
    "I a c d": (142,),
}
ITA_TRIGONAL = {
    "P - - -": (143, 147, 149, 150, 156, 157, 162, 164),
    "P 31 - -": (144, 145, 151, 152, 153, 154),
    "P - - c": (159, 163),
    "P - c -": (158, 165),
    "R(obv) - -": (146, 148, 155, 160, 166),
    "R(obv) - c": (161, 167),
}
ITA_HEXAGONAL = {
    "P - - -": (168, 174, 175, 177, 183, 187, 189, 191),
    "P 63 - -": (173, 176, 182),
    "P 62 - -": (171, 172, 180, 181),
    "P 61 - -": (169, 170, 178, 179),
    "P - - c": (186, 190, 194),
    "P - c -": (185, 188, 193),
    "P - c c": (184, 192),
}
ITA_CUBIC = {
    "P - - -": (195, 200, 207, 215, 221),
    "P 21(42) - -": (198, 208),
    "P 41 - -": (212, 213),
    "P - - n": (218, 223),
    "P a - -": (205,),
    "P n - -": (201, 224),
    "P n - n": (222,),
    "I - - -": (197, 199, 204, 211, 217, 229),
    "I 41 - -": (214,),
    "I - - d": (220,),
    "I a - -": (206,),
    "I a - d": (230,),
    "F - - -": (196, 202, 209, 216, 225),
    "F 41 - -": (210,),
    "F - - c": (219, 226),
    "F d - -": (203, 227),
    "F d - c": (228,),
}
ITA_MONOCLINIC_UNIQUE_B = {
    "P 1 - 1": (3, 6, 10),
    "P 1 21 1": (4, 11),
    "P 1 a 1": (7, 13),
    "P 1 21/a 1": (14,),
    "P 1 c 1": (7, 13),
    "P 1 21/c 1": (14,),
    "P 1 n 1": (7, 13),
    "P 1 21/n 1": (14,),
    "C 1 - 1": (5, 8, 12),
    "C 1 c 1": (9, 15),
    "A 1 - 1": (5, 8, 12),
    "A 1 n 1": (9, 15),
    "I 1 - 1": (5, 8, 12),
    "I 1 a 1": (9, 15),
}
# A sample of the 111 orthorhombic symbols: all centrings, all letter conventions of ITA.
ITA_ORTHORHOMBIC = {
    "P - - -": (16, 25, 47),
    "P - - 21": (17,),
    "P 21 - 21": (18,),
    "P 21 21 21": (19,),
    "P - - a": (26, 28, 51),
    "P - n -": (31, 59),
    "P b a -": (32, 55),
    "P b c n": (60,),
    "P b c a": (61,),
    "P c a b": (61,),
    "P n a -": (33, 62),
    "P n n b": (52,),
    "P n n n": (48,),
    "C - - -": (21, 35, 38, 65),
    "C - - 21": (20,),
    "C - - (ab)": (39, 67),
    "C - c -": (36, 40, 63),
    "C c - (ab)": (41, 64),
    "C c c (ab)": (68,),
    "A (bc) - -": (39, 67),
    "A - a -": (36, 40, 63),
    "A 21 - -": (20,),
    "B b - b": (37, 66),
    "B - (ac) b": (41, 64),
    "I - - -": (23, 24, 44, 71),
    "I - - (ab)": (46, 74),
    "I (bc) - -": (46, 74),
    "I b a -": (45, 72),
    "I - c b": (45, 72),
    "I c - a": (45, 72),
    "I b c a": (73,),
    "F - - -": (22, 42, 69),
    "F d d -": (43,),
    "F d - d": (43,),
    "F d d d": (70,),
}


@pytest.mark.parametrize(
    ("system", "printed"),
    [
        ("tetragonal", ITA_TETRAGONAL),
        ("trigonal", ITA_TRIGONAL),
        ("hexagonal", ITA_HEXAGONAL),
        ("cubic", ITA_CUBIC),
        ("triclinic", {"P -": (1, 2)}),
    ],
)
def test_whole_table_of_systems_without_setting_choice(system, printed):
    assert {cls.symbol: cls.members for cls in extinction_classes(system)} == printed


def groups_by_symbol(system):
    return {
        cls.symbol: tuple(sorted({number for number, _ in cls.settings})) for cls in setting_classes(system)
    }


def test_monoclinic_table():
    derived = groups_by_symbol("monoclinic")
    assert {symbol: derived.get(symbol) for symbol in ITA_MONOCLINIC_UNIQUE_B} == ITA_MONOCLINIC_UNIQUE_B
    # ITA lists 14 symbols for each of the unique axes b, c and a.
    assert len(derived) == len(setting_classes("monoclinic")) == 3 * 14
    for unique_c in ("P 1 1 a", "P 1 1 21/b", "A 1 1 a", "B 1 1 n", "I 1 1 b"):
        assert unique_c in derived
    for unique_a in ("P c 1 1", "P 21/n 1 1", "B b 1 1", "C n 1 1", "I c 1 1"):
        assert unique_a in derived


def test_orthorhombic_table():
    derived = groups_by_symbol("orthorhombic")
    assert {symbol: derived.get(symbol) for symbol in ITA_ORTHORHOMBIC} == ITA_ORTHORHOMBIC
    assert len(derived) == len(setting_classes("orthorhombic")) == 111


def test_trigonal_and_hexagonal_screws_of_one_condition_share_a_symbol():
    members = {cls.symbol: cls.members for cls in extinction_classes("trigonal-hexagonal")}
    assert members["P 31(62) - -"] == ITA_TRIGONAL["P 31 - -"] + ITA_HEXAGONAL["P 62 - -"]
    assert members["P - c c"] == ITA_HEXAGONAL["P - c c"]


@pytest.mark.parametrize("family", ["orthorhombic", "monoclinic"])
def test_axis_unlabelled_classes_collect_whole_symbols(family):
    """Every setting symbol lies inside one class: relabelling the axes never splits one."""
    class_of = {number: cls.symbol for cls in extinction_classes(family) for number in cls.members}
    for cls in setting_classes(family):
        assert len({class_of[number] for number, _ in cls.settings}) == 1, cls.symbol
    assert sorted(class_of) == list(space_groups(family))
