"""The whole configuration as one model."""

from xtinct.project.keys.dataset_keys import Family, Gcdd, LinesKeys, Splits, Ulbd, Variant
from xtinct.project.keys.declaring import Name, Seed, Some, StrictSection, key
from xtinct.project.keys.instrument_keys import InstrumentKeys
from xtinct.project.keys.model_keys import (
    AnyModel,
    Ceilings,
    ExperimentKeys,
    ObserverKeys,
    Report,
    Robustness,
    Train,
)
from xtinct.project.keys.pattern_keys import AnyPatternSet
from xtinct.project.keys.source_keys import AnySource, Cleaning


class Configuration(StrictSection):
    """Xtinct configuration."""

    seed: Seed = key("seed of every random draw of the datasets")
    families: Some[Family] = key("crystal families to build datasets for")
    shards: int = key("jobs that each dataset is cut into; changes the speed, never a result", ge=1, le=9999)
    sources: dict[Name, AnySource] = key(
        "where crystal structures come from; each source has a name of its own", min_length=1
    )
    patterns: dict[Name, AnyPatternSet] = key(
        "sets of measured patterns, audited and judged; each has a name of its own; {} for none"
    )
    cleaning: Cleaning
    splits: Splits
    lines: LinesKeys
    ulbd: Ulbd
    gcdd: Gcdd
    variants: dict[Name, Variant] = key(
        "further versions of ULBD and CDDD, each given by what differs; experiments name them like datasets"
    )
    instrument: InstrumentKeys
    ceilings: Ceilings
    train: Train
    models: dict[Name, AnyModel] = key(
        "networks that an experiment may name; each is a kind with its options", min_length=1
    )
    experiments: dict[Name, ExperimentKeys] = key(
        "what is trained on what and tested on what; each experiment has a name of its own", min_length=1
    )
    robustness: Robustness
    observer: ObserverKeys
    report: Report
