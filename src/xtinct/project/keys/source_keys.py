"""Keys of `sources`, one model for each kind of source, and of `cleaning`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from xtinct.project.keys.declaring import (
    Count,
    NotNegative,
    Pair,
    Positive,
    Some,
    StrictSection,
    by_kind,
    by_type,
    key,
    optional_key,
)

Range = Pair[float]
Address = Annotated[str, Field(pattern="^https?://[^?#]+$")]
Parameter = Annotated[
    str,
    Field(pattern="^(?!format$)[a-z_0-9]+$", description="a parameter of the search, other than format"),
]
Cache = Annotated[
    str,
    Field(description="folder that keeps what was fetched, also after a fault; may be deleted at any time"),
]
Element = Annotated[str, Field(pattern="^[A-Z][a-z]?$", description="the symbol of an element")]
Excluded = Annotated[
    list[Some[Element]],
    Field(
        description="sets of elements; entries with all elements of one are not taken. [[C, H]] leaves "
        "inorganic ones"
    ),
]


class NetworkKeys(StrictSection):
    """How the server is treated."""

    timeout: Positive = key("seconds for one answer")
    patience: Positive = key("seconds for which a request may go on failing before the pull ends")
    backoff: Pair[NotNegative] = key("first and longest pause between two tries, seconds")
    rate: Positive = key("requests per second, at most")
    parallel: int = key("requests under way at the same time, at most", ge=1, le=16)


class Prototypes(StrictSection):
    """Structures carried in data/prototypes."""

    kind: Literal["prototypes"] = key("structures carried in data/prototypes")


class Files(StrictSection):
    """Structures of one's own."""

    kind: Literal["files"] = key("structures of one's own")
    path: str = key(
        "a folder, an archive or a single file of CIFs (each of one structure or many) or POSCARs, or a "
        "Parquet table with a CIF column; or the address of an archive, file or table (https://, s3://), "
        "which the workflow brings"
    )
    pattern: str = optional_key(
        "file names to take from a folder or archive, several with | between them; without it CIFs and "
        "POSCARs: *.cif, *.mcif, *.vasp, *.poscar, POSCAR*, CONTCAR*"
    )
    cif_column: str = optional_key("column of a table; without it cif")
    id_column: str = optional_key("column of a table; without it material_id")
    spacegroup_column: str = optional_key("column of a table with declared numbers; without it none")
    version: str = optional_key("name of this state of the data; without it a digest of the content")
    licence: str = optional_key('licence of the structures; without it "not stated"')


class Filters(StrictSection):
    """What to take; everything where it is empty."""

    elements: Some[str] = optional_key("all of these elements")
    exclude_elements: Some[str] = optional_key("none of these elements")
    chemsys: Some[str] = optional_key("chemical systems, as in Li-Fe-O")
    formula: Some[str] = optional_key("formulas, as in ABO3 or Fe2O3")
    material_ids: Some[str] = optional_key("identifiers, as in mp-149")
    spacegroup_numbers: Some[Annotated[int, Field(ge=1, le=230)]] = optional_key(
        "space groups as the project's own analysis names them"
    )
    num_sites: Range = optional_key("smallest and largest number of sites")
    num_elements: Range = optional_key("smallest and largest number of elements")
    energy_above_hull: Range = optional_key("smallest and largest, eV/atom")
    is_stable: bool = optional_key("on the convex hull or not")
    theoretical: bool = optional_key("never observed or observed")


class MaterialsProject(StrictSection):
    """Structures of the Materials Project."""

    kind: Literal["mp"] = key(
        "the Materials Project; the key is taken from MP_API_KEY or pymatgen's settings"
    )
    endpoint: Address = key("address of the interface: https://api.materialsproject.org")
    cache: Cache
    filters: Filters
    non_commercial: Literal["exclude", "include"] = key(
        "entries under a non-commercial licence (GNoME); excluded ones are counted in quarantine"
    )
    network: NetworkKeys


class Cod(StrictSection):
    """Entries of the Crystallography Open Database that match a query."""

    model_config = ConfigDict(regex_engine="python-re")  # the other engine cannot look ahead

    kind: Literal["cod"] = key("entries of the Crystallography Open Database that match a query")
    server: Address = key("address of the database: https://www.crystallography.net/cod")
    cache: Cache
    query: dict[Parameter, by_type(text=str, number=float)] = key(
        "parameters of the database's search: text, formula, el1..el8, nel1..nel4, strictmin, vmax, ...",
        min_length=1,
    )
    exclude: Excluded
    network: NetworkKeys


class CodMirror(StrictSection):
    """A local copy of the Crystallography Open Database."""

    kind: Literal["cod-mirror"] = key("a local copy of the Crystallography Open Database")
    path: str = key("the folder that rsync keeps, or an archive (zip, tar.xz)")
    exclude: Excluded
    version: str = key("state of the copy, as the day of the rsync")


class Optimade(StrictSection):
    """Structures of a database with an OPTIMADE interface."""

    kind: Literal["optimade"] = key("a database with an OPTIMADE interface")
    database: str = key("its base address, or the identifier of a provider with one database")
    cache: Cache
    filter: str = key("in OPTIMADE's grammar; everything where it is empty")
    page_limit: Count = key("entries of one request; many providers allow up to 100")
    network: NetworkKeys


AnySource = by_kind(Prototypes, Files, MaterialsProject, Cod, CodMirror, Optimade)


class Cleaning(StrictSection):
    """What is done to every structure, whatever its source."""

    symprec: float = key("distance tolerance of the symmetry search, angstrom", gt=0, le=1)
    second_finder: bool = key("ask a second symmetry finder (spglib) as well and record its answer")
    disordered: Literal["keep", "reject"] = key(
        "keep or reject structures with partly occupied or shared sites"
    )
    missing_hydrogen: Literal["keep", "reject"] = key(
        "keep or reject structures whose formula has hydrogen that no site shows"
    )
    max_gap: NotNegative = key(
        "thickest slab without an atom, angstrom; thicker ones are layers in vacuum; 0 keeps all"
    )
    max_sites: Count = key("largest number of sites of the conventional cell")
    min_distance: NotNegative = key("atoms closer than this are an error of the entry, angstrom")
    protostructures: bool = key("label structures by protostructure, for splits that keep prototypes apart")
