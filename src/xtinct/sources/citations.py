"""What to cite for structures, by the kind of their source."""

from collections.abc import Mapping
from typing import Any

_COD = "Gražulis et al., J. Appl. Cryst. 42, 726 (2009), and the papers that the entries name"
#: Kind of source in the configuration -> what its owners ask users to cite.
CITATIONS = {
    "prototypes": (
        "Mehl et al., Comput. Mater. Sci. 136, S1-S828 (2017); "
        "Hicks et al., Comput. Mater. Sci. 161, S1-S1011 (2019); "
        "Hicks et al., Comput. Mater. Sci. 199, 110450 (2021)"
    ),
    "mp": "Jain et al., APL Materials 1, 011002 (2013), and the database version",
    "cod": _COD,
    "cod-mirror": _COD,
    "optimade": "Evans et al., Digital Discovery 3, 1509 (2024), and the provider",
    "files": "what the owner of the files asks for",
}


def citations(sources: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Name of each source of the configuration's `sources` -> what to cite for it."""
    return {
        name: CITATIONS[source["kind"]] for name, source in sources.items() if source["kind"] in CITATIONS
    }
