"""Keys of `patterns`, one model for each kind of set of measured patterns."""

from typing import Annotated, Literal

from pydantic import Field

from xtinct.project.keys.declaring import (
    Count,
    Positive,
    Some,
    StrictSection,
    by_kind,
    by_type,
    key,
    optional_key,
)
from xtinct.project.keys.source_keys import Address, Cache, NetworkKeys

Wavelength = by_type(number=Positive, text=str)
Archive = Annotated[str, Field(pattern=r"^[^/\\]+\.zip$", description="file name of a zip archive")]


class _PatternSet(StrictSection):
    """What every set may say; of a pattern that says it itself, its own word counts."""

    laboratory: str = optional_key("who measured; without it the set's name")
    licence: str = optional_key('licence of the patterns; without it "not stated"')
    take: Count = optional_key("patterns at most, spread evenly over the set; without it all")


class CarriedPatterns(_PatternSet):
    """Measured patterns carried in data/patterns."""

    kind: Literal["carried"] = key("measured patterns carried in data/patterns")


class PatternFiles(_PatternSet):
    """Measured files of one's own."""

    kind: Literal["files"] = key("measured files of one's own, in any format that is read")
    path: str = key("a folder, an archive (zip, tar) or a single file")
    pattern: str = optional_key("file names to take; without it all")
    labels: str = optional_key(
        "name of a CSV within the folder or archive: column file, and any of spacegroup, crystal_system, a, "
        "b, c, alpha, beta, gamma, formula, n_phases, label, wavelength, laboratory, specimen, licence; "
        "without it labels are those of the files themselves (pdCIF, RRUFF)"
    )
    wavelength: Wavelength = optional_key(
        "of files that are told no other by the labels: angstrom, or a tube's lines (CuKa); without it what "
        "the files say"
    )


class PatternTable(_PatternSet):
    """Rows of a Parquet table of one's own."""

    kind: Literal["table"] = key("rows of a Parquet table: pattern_id, two_theta, intensity, and labels")
    path: str = key("the table; columns as of a CSV of labels, spacegroup_number for spacegroup")
    laboratories: Some[str] = optional_key(
        "values of its column laboratory (or source) to take; without it all"
    )
    wavelength: Wavelength = optional_key("of rows without one; without it such rows have none")


class MineralPatterns(_PatternSet):
    """Measured patterns of the RRUFF project."""

    kind: Literal["rruff"] = key("measured patterns of the RRUFF project, from its public archives")
    server: Address = key("folder of the archives: https://www.rruff.net/zipped_data_files/powder")
    archives: Some[Archive] = key("archives of measured texts: XY_RAW.zip")
    line_tables: Archive = key("archive of refined cells and space groups: DIF.zip")
    cache: Cache
    network: NetworkKeys


class OpxrdPatterns(_PatternSet):
    """Measured patterns of the opXRD collection."""

    kind: Literal["opxrd"] = key("measured patterns of the opXRD collection, as its archive has them")
    path: str = key("opxrd.zip of https://zenodo.org/records/14278656, or the folder that it unpacks to")
    contributions: Some[str] = optional_key("folders of contributions to take; without it all")
    wavelength: Wavelength = optional_key("of patterns that tell none; without it such patterns have none")


AnyPatternSet = by_kind(CarriedPatterns, PatternFiles, PatternTable, MineralPatterns, OpxrdPatterns)
