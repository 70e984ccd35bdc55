"""Samples for a training loop of your own: torch datasets for use with `torch.utils.data.DataLoader`.

    from xtinct.data import LineListDataset, LineView, Patterns, SampleSource, StreamDataset, collate_lines

`StreamDataset` draws fresh samples for ever (lattices under an extinction law, generated crystals, mixtures);
`LineListDataset` reads the Parquet files of line lists. Either gives `Patterns` of an instrument or
`LineView`, on an axis of 2theta, d, Q or log Q, with a label. `collate_lines` makes batches of lines.
"""

from xtinct.data.class_labels import LABELS, Labels
from xtinct.data.scales import AXES, PatternAxis, from_d_star, to_d_star
from xtinct.data.torch_datasets import LineListDataset, SampleSource, StreamDataset
from xtinct.data.views import LineBatch, LineView, Patterns, collate_lines

__all__ = [
    "AXES",
    "LABELS",
    "Labels",
    "LineBatch",
    "LineListDataset",
    "LineView",
    "PatternAxis",
    "Patterns",
    "SampleSource",
    "StreamDataset",
    "collate_lines",
    "from_d_star",
    "to_d_star",
]
