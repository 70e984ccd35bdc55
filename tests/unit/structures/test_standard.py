"""The standard cell of a crystal, and what no crystal can be."""

import numpy as np
import pytest

from xtinct.structures.crystal import Crystal, RejectedError
from xtinct.structures.standard import standardise


@pytest.mark.parametrize("axis", [4.4e8, 6.9e16])
def test_axes_that_no_crystal_has_are_refused_before_they_take_all_memory(axis):
    crystal = Crystal(np.array([6.5, axis, 12.1, 90.0, 90.0, 90.0]), np.zeros((1, 3)), [(("Na", 1.0),)])
    with pytest.raises(RejectedError, match="no crystal has such a ratio"):
        standardise(crystal, symprec=0.01)
