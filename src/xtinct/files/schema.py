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
    *(("measured_patterns", name) for name in ("sigma", "spacegroup_number", "crystal_system", "n_phases")),
    *(("measured_patterns", name) for name in ("a", "b", "c", "alpha", "beta", "gamma")),
    *(("audit", name) for name in ("unexplained", "weighted_r", "class_probability", "cell_change")),
    *(("audit", name) for name in ("foreign", "duplicate_of", "counts", "peaks")),
    *(("audit", name) for name in ("class_ceiling", "group_ceiling")),
    *(("measured_predictions", name) for name in ("spacegroup_number", "extinction_class")),
    *(("measured_predictions", name) for name in ("crystal_system", "lattice_right")),
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
    ("contiguous", pa.string(), "", "part when the table, ordered by structure_id, is cut where it stands"),
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

MEASURED_PATTERNS = _table(
    "measured_patterns",
    ("pattern_id", pa.string(), "", "set of patterns, colon, identifier within the set"),
    ("laboratory", pa.string(), "", "who measured it or gave it; patterns of one laboratory are alike"),
    ("specimen", pa.string(), "", "identifier of the specimen; empty if unknown"),
    ("licence", pa.string(), "", "licence under which the pattern may be used"),
    ("two_theta", pa.list_(pa.float64()), "degree", "angles, strictly ascending"),
    ("intensity", pa.list_(pa.float64()), "", "as in the file: counts if the file says so"),
    ("sigma", pa.list_(pa.float64()), "", "standard uncertainties; null where the file has none"),
    ("wavelength", pa.list_(pa.float64()), "angstrom", "K-alpha1 or the only one, K-alpha2; none if unknown"),
    ("ratio", pa.float64(), "", "intensity of K-alpha2 over that of K-alpha1; 0 for one wavelength"),
    ("anode", pa.string(), "", "element of the tube; empty if unknown"),
    ("formula", pa.string(), "", "as its label gives it; empty if unknown"),
    ("spacegroup_number", pa.int16(), "", "of the label; null if unknown"),
    ("crystal_system", pa.string(), "", "as the label itself says it; null if it says none"),
    *_CELL_COLUMNS,
    ("n_phases", pa.int16(), "", "phases that the label names; null if it does not say"),
    ("label", pa.string(), "", "where the label is from, in words"),
    ("notes", pa.list_(pa.string()), "", "what was converted, sorted or completed in reading"),
    ("sha256", pa.string(), "", "digest of angles and intensities as read"),
)

AUDIT = _table(
    "audit",
    ("pattern_id", pa.string(), "", "row of measured_patterns"),
    ("laboratory", pa.string(), "", "as in measured_patterns"),
    ("verdict", pa.string(), "", "pass or reject"),
    ("reasons", pa.list_(pa.string()), "", "machine-readable reasons of a rejection, and remarks"),
    ("detail", pa.string(), "", "what was found, in words; one clause for each reason"),
    ("points", pa.int32(), "", "measured points"),
    ("two_theta_min", pa.float64(), "degree", "first angle"),
    ("two_theta_max", pa.float64(), "degree", "last angle"),
    (
        "turning",
        pa.float64(),
        "",
        "turning points over those of white noise; a profile has few",
    ),
    ("counts", pa.float64(), "", "of the highest point, as its noise tells; null if not looked at"),
    ("peaks", pa.int16(), "", "that stand out; null if not looked for"),
    ("unexplained", pa.float64(), "", "share of the peaks' area away from every line of the label's cell"),
    ("foreign", pa.int16(), "", "peaks away from every line of the label's cell"),
    ("weighted_r", pa.float64(), "", "of the Pawley fit of the label's cell"),
    ("class_probability", pa.float64(), "", "of the label's extinction class among those of its family"),
    ("cell_change", pa.float64(), "", "largest relative change of a length in the fit"),
    (
        "class_ceiling",
        pa.float64(),
        "",
        "how often an ideal judge names the label's class where counts, widths and range are these",
    ),
    ("group_ceiling", pa.float64(), "", "the same of the space group"),
    ("duplicate_of", pa.string(), "", "earlier pattern of the same content or specimen"),
)

MEASURED_PREDICTIONS = _table(
    "measured_predictions",
    ("pattern_id", pa.string(), "", "row of measured_patterns"),
    ("laboratory", pa.string(), "", "as in measured_patterns"),
    ("spacegroup_number", pa.int16(), "", "of the label; null if unknown"),
    ("extinction_class", pa.string(), "", "of the label's group; null if unknown"),
    ("crystal_system", pa.string(), "", "of the label; null if unknown"),
    ("systems", pa.list_(pa.string()), "", "crystal systems by falling probability"),
    ("system_probabilities", pa.list_(pa.float64()), "", "their probabilities"),
    ("families", pa.list_(pa.string()), "", "of the classes below"),
    ("classes", pa.list_(pa.string()), "", "extinction classes by falling probability, first five"),
    ("class_probabilities", pa.list_(pa.float64()), "", "their probabilities"),
    ("groups", pa.list_(pa.int16()), "", "space groups by falling probability, first five"),
    ("group_probabilities", pa.list_(pa.float64()), "", "their probabilities"),
    (
        "cell",
        pa.list_(pa.float64()),
        "angstrom, degree",
        "of the best lattice; none without one",
    ),
    ("lattice_right", pa.bool_(), "", "whether that is the label's lattice; null if the label has no cell"),
    ("known", pa.bool_(), "", "whether the database holds a structure of the label's formula"),
    ("failed", pa.string(), "", "why there is no answer; empty if there is one"),
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
