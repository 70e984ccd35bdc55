"""Every Parquet table of Xtinct: columns, types, units. Writers, readers and tests use these."""

import pyarrow as pa

from xtinct.errors import XtinctError

#: Version of the table LINES alone; raised when a column of it comes, goes, or changes its name, type or
#: meaning. Its rows are made in `xtinct.linelists.line_tables`.
LINES_VERSION = "2"
_VERSIONS = {"lines": LINES_VERSION}


def _table(name: str, *columns: tuple[str, pa.DataType, str, str]) -> pa.Schema:
    """Schema of (column, type, unit, description)."""
    fields = [
        pa.field(
            column,
            kind,
            nullable=(name, column) in _NULLABLE,
            metadata={"unit": unit, "description": description},
        )
        for column, kind, unit, description in columns
    ]
    version = _VERSIONS.get(name, "1")
    return pa.schema(fields, metadata={"xtinct.table": name, "xtinct.schema_version": version})


_NULLABLE = {
    ("structures", "spacegroup_declared"),
    ("structures", "spacegroup_spglib"),
    ("structures", "protostructure"),
    ("recognition", "protostructure"),
    ("quarantine", "raw_sha256"),
}

CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_CELL_COLUMNS = tuple(
    (name, pa.float64(), unit, f"cell parameter {name} of the conventional cell")
    for name, unit in zip(CELL, ("angstrom",) * 3 + ("degree",) * 3, strict=True)
)

RAW = _table(
    "raw",
    ("structure_id", pa.string(), "", "source name, colon, identifier within the source"),
    ("cif", pa.string(), "", "text as received"),
    ("spacegroup_declared", pa.int16(), "", "number the source declares; 0 if none"),
    ("source", pa.string(), "", "name of the source in the configuration"),
    ("source_version", pa.string(), "", "version or digest of the source"),
    ("licence", pa.string(), "", "licence under which the source gives the structure"),
    ("error", pa.string(), "", "reason and detail why no usable text was received; empty if it was"),
)

STRUCTURES = _table(
    "structures",
    ("structure_id", pa.string(), "", "source name, colon, identifier within the source"),
    ("formula", pa.string(), "", "reduced formula"),
    ("spacegroup_number", pa.int16(), "", "number found by moyo at symprec"),
    ("spacegroup_spglib", pa.int16(), "", "number found by spglib at symprec; null if it found none"),
    ("spacegroup_declared", pa.int16(), "", "number the source declares; null if none"),
    ("symprec", pa.float64(), "angstrom", "distance tolerance of the symmetry search"),
    ("crystal_system", pa.string(), "", "one of the seven crystal systems"),
    *_CELL_COLUMNS,
    ("n_sites", pa.int32(), "", "atom sites in the conventional cell"),
    ("cif", pa.string(), "", "symmetrised conventional cell, every site listed (P 1 form)"),
    ("protostructure", pa.string(), "", "AFLOW-style protostructure label with elements; null if it failed"),
    ("source", pa.string(), "", "name of the source in the configuration"),
    ("source_version", pa.string(), "", "version or digest of the source"),
    ("licence", pa.string(), "", "licence under which the source gives the structure"),
)

QUARANTINE = _table(
    "quarantine",
    ("structure_id", pa.string(), "", "identifier of the rejected entry"),
    ("stage", pa.string(), "", "stage that rejected it: fetch, cddd or gcdd"),
    ("reason", pa.string(), "", "machine-readable reason, for counting"),
    ("detail", pa.string(), "", "one line for a person: what was found and what was expected"),
    ("raw_sha256", pa.string(), "", "SHA-256 of the text as received; null where there was none"),
)

STRUCTURE_SPLITS = _table(
    "structure_splits",
    ("structure_id", pa.string(), "", "row of structures"),
    ("random", pa.string(), "", "part when every structure is its own group"),
    ("formula", pa.string(), "", "part when structures of one reduced formula stay together"),
    ("protostructure", pa.string(), "", "part when structures of one prototype stay together"),
    ("source", pa.string(), "", "part when structures of one source stay together"),
    ("duplicate_of", pa.string(), "", "first structure of the same crystal; its own id if there is none"),
)

LINES = _table(
    "lines",
    ("sample_id", pa.string(), "", "unique; rows are ordered by it"),
    ("dataset", pa.string(), "", "cddd, ulbd or gcdd"),
    ("spacegroup_number", pa.int16(), "", "1 to 230"),
    ("extinction_class", pa.string(), "", "ITA extinction symbol of the axis-unlabelled class"),
    ("crystal_system", pa.string(), "", "one of the seven crystal systems"),
    ("split", pa.string(), "", "train, validation or test"),
    *_CELL_COLUMNS,
    ("d_star", pa.list_(pa.float32()), "1/angstrom", "1/d of each line, ascending"),
    ("intensity", pa.list_(pa.float32()), "", "|F|^2 summed over the hkl of the line, per cell"),
    ("origin", pa.string(), "", "structure_id, or lattice index and draw"),
    ("seed", pa.int64(), "", "seed of the configuration that made the row"),
    ("source", pa.string(), "", "source of the structure in the configuration; ulbd or gcdd for made ones"),
    ("licence", pa.string(), "", "licence under which the row may be used"),
)

RECOGNITION = _table(
    "recognition",
    ("structure_id", pa.string(), "", "row of structures that the lines are of"),
    ("formula", pa.string(), "", "reduced formula"),
    ("protostructure", pa.string(), "", "AFLOW-style protostructure label with elements; null if unknown"),
    (
        "elements",
        pa.list_(pa.uint8()),
        "",
        "atomic numbers of its elements, ascending; deuterium counts as 1",
    ),
    ("spacegroup_number", pa.int16(), "", "1 to 230"),
    ("n_sites", pa.int32(), "", "atom sites in the conventional cell"),
    *((name, pa.float32(), unit, description) for name, _, unit, description in _CELL_COLUMNS),
    ("place", pa.list_(pa.uint16()), "5e-5", "ln(25 angstrom / d) of each line, ascending"),
    (
        "strength",
        pa.list_(pa.uint8()),
        "1/255",
        "root of each line's intensity with LP factor, over the largest",
    ),
)

#: What Xtinct draws itself, from laws and numbers alone: no rights are kept in it.
OWN_LICENCE = "CC0-1.0"

PREDICTIONS = _table(
    "predictions",
    ("sample_id", pa.string(), "", "row of the line list that was judged"),
    ("spacegroup_number", pa.int16(), "", "true space group"),
    ("extinction_class", pa.string(), "", "true extinction class"),
    ("classes", pa.list_(pa.string()), "", "extinction classes by falling probability, first five"),
    ("class_probabilities", pa.list_(pa.float32()), "", "their probabilities"),
    ("groups", pa.list_(pa.int16()), "", "space groups by falling probability, first five"),
    ("group_probabilities", pa.list_(pa.float32()), "", "their probabilities"),
)

_SETTING = (
    ("spacegroup_number", pa.int16(), "", "1 to 230"),
    ("setting", pa.string(), "", "Hermann-Mauguin symbol of the setting"),
    ("standard", pa.bool_(), "", "unique axis b, hexagonal axes for R, origin choice 2"),
)

OPERATIONS = _table(
    "operations",
    *_SETTING,
    ("centring", pa.string(), "", "P, A, B, C, I, F or R"),
    ("point_group", pa.string(), "", "one of the 32 geometric crystal classes"),
    ("laue_class", pa.string(), "", "one of the 11 Laue classes"),
    ("rotations", pa.list_(pa.int8()), "", "9 n numbers: R of x' = R x + t, row by row"),
    ("translations", pa.list_(pa.int8()), "1/24", "3 n numbers: t of x' = R x + t"),
)

REFLECTION_CONDITIONS = _table(
    "reflection_conditions",
    *_SETTING,
    ("zone", pa.string(), "", "reflections concerned, as in ITA: hkl, 0kl, hhl, 00l"),
    ("condition", pa.string(), "", "what must hold for a reflection of the zone to be present"),
    ("representative", pa.bool_(), "", "first of the zones equivalent under the point group"),
    ("zone_equations", pa.list_(pa.int8()), "", "0, 3 or 6 numbers: hkl . e = 0 for each triple e"),
    ("phase", pa.list_(pa.int8()), "1/24", "the condition holds when hkl . phase is a multiple of 24"),
)

WYCKOFF = _table(
    "wyckoff",
    ("spacegroup_number", pa.int16(), "", "1 to 230, standard setting"),
    ("letter", pa.string(), "", "Wyckoff letter; A is the 27th letter of group 47"),
    ("multiplicity", pa.int16(), "", "points in the conventional cell"),
    ("site_symmetry", pa.string(), "", "geometric crystal class of the site symmetry"),
    ("freedom", pa.int8(), "", "free coordinates, 0 to 3"),
    ("rotations", pa.list_(pa.int16()), "1/24", "9 m numbers: R of the points R x + t, row by row"),
    ("translations", pa.list_(pa.int16()), "1/24", "3 m numbers: t of the points R x + t"),
)

EXTINCTION_CLASSES = _table(
    "extinction_classes",
    ("family", pa.string(), "", "crystal family, crystal system or pooled scope"),
    ("axes", pa.string(), "", "unlabelled (powder) or labelled (cell given)"),
    ("symbol", pa.string(), "", "ITA extinction symbol; unique within family and axes"),
    ("members", pa.list_(pa.int16()), "", "space groups that share these absences"),
)

CEILINGS = _table(
    "ceilings",
    ("family", pa.string(), "", "crystal family, crystal system or pooled scope"),
    ("axes", pa.string(), "", "unlabelled (powder) or labelled (cell given)"),
    ("target", pa.string(), "", "what is to be named"),
    ("k", pa.int16(), "", "number of answers allowed"),
    ("numerator", pa.int64(), "", "of the exact fraction"),
    ("denominator", pa.int64(), "", "of the exact fraction"),
    ("ceiling", pa.float64(), "", "best top-k accuracy, as a fraction of 1"),
)

LIMITATIONS = _table(
    "limitations",
    ("family", pa.string(), "", "crystal family"),
    (
        "limitation",
        pa.string(),
        "",
        "extinction, lattices, window, resolution, threshold; each adds to those before",
    ),
    ("target", pa.string(), "", "what is to be named"),
    ("k", pa.int16(), "", "number of answers allowed"),
    ("ceiling", pa.float64(), "", "best top-k accuracy under all limitations so far, as a fraction of 1"),
    ("standard_error", pa.float64(), "", "Monte-Carlo standard error; 0 where nothing was sampled"),
    ("n_lattices", pa.int64(), "", "lattices looked at; 0 for the combinatorial ceiling"),
    ("exact", pa.bool_(), "", "whether the whole distribution was looked at"),
)

MERGED_LATTICES = _table(
    "merged_lattices",
    ("family", pa.string(), "", "crystal family"),
    *_CELL_COLUMNS,
    ("share", pa.float64(), "", "share of the distribution that the lattice stands for"),
    ("first", pa.string(), "", "extinction symbol of one class"),
    ("second", pa.string(), "", "extinction symbol of another class that shows the same lines there"),
)

LOST_PAIRS = _table(
    "lost_pairs",
    ("family", pa.string(), "", "crystal family"),
    ("limitation", pa.string(), "", "resolution or threshold"),
    ("first", pa.string(), "", "extinction symbol of one class"),
    ("second", pa.string(), "", "extinction symbol of another class"),
    ("probability", pa.float64(), "", "posterior weight on the wrong class of the pair, over all patterns"),
)

WILSON = _table(
    "wilson",
    ("family", pa.string(), "", "crystal family"),
    ("target", pa.string(), "", "what is to be named"),
    ("k", pa.int16(), "", "number of answers allowed"),
    ("accuracy", pa.float64(), "", "estimate for the ideal observer of Wilson intensities, fraction of 1"),
    ("standard_error", pa.float64(), "", "its Monte-Carlo standard error"),
    ("extinction_ceiling", pa.float64(), "", "ceiling of the same lattices if intensities say nothing"),
)

WILSON_PAIRS = _table(
    "wilson_pairs",
    ("family", pa.string(), "", "crystal family"),
    ("first", pa.int16(), "", "space group"),
    ("second", pa.int16(), "", "space group of the same extinction class"),
    (
        "accuracy",
        pa.float64(),
        "",
        "how often intensities choose the right one of the two; 0.5: never decidable",
    ),
)

SPLITS = ("train", "validation", "test")
DATASETS = ("cddd", "ulbd", "gcdd")


def check_table(table: pa.Table | pa.Schema, expected: pa.Schema, where: str) -> None:
    """Raise XtinctError naming the first column of `where` that is missing or of another type.

    A table of the same name in another version of its schema is refused as such.
    """
    schema = table if isinstance(table, pa.Schema) else table.schema
    for field in expected:
        index = schema.get_field_index(field.name)
        if index < 0:
            raise XtinctError(f"{where}: column {field.name!r} is missing{_other_version(schema, expected)}")
        if schema.field(index).type != field.type:
            raise XtinctError(
                f"{where}: column {field.name!r} is {schema.field(index).type}, expected {field.type}"
            )


def _other_version(schema: pa.Schema, expected: pa.Schema) -> str:
    """What to do about a table that another version of this library wrote; empty for any other table."""
    (name, found), (wanted_name, wanted) = (
        [(s.metadata or {}).get(key, b"").decode() for key in (b"xtinct.table", b"xtinct.schema_version")]
        for s in (schema, expected)
    )
    if not name or name != wanted_name or found == wanted:
        return ""
    return (
        f"; the file was written in version {found} of the {name} table, this is version {wanted}: "
        "make it again with `snakemake --cores all all`, or read it with the version of Xtinct that wrote it"
    )
