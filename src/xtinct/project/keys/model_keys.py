"""Keys of the models: `train`, `models`, `experiments`, and what they are measured by."""

from typing import Annotated, Any, Literal

from pydantic import Field

from xtinct.learning.import_paths import PATTERN
from xtinct.patterns.pattern_transform import BACKGROUNDS, VALUES
from xtinct.project.keys.dataset_keys import Family, FamilyLattices
from xtinct.project.keys.declaring import (
    AtLeastTwo,
    Changes,
    Count,
    Distinct,
    Name,
    NotNegative,
    Pair,
    Positive,
    Seed,
    Share,
    Some,
    StrictSection,
    by_kind,
    by_type,
    key,
    one_of,
    optional_key,
)
from xtinct.symmetry.families import FAMILIES

Range = Pair[float]
LearningRate = Annotated[float, Field(gt=0, le=10)]
#: 0 included, 1 not.
Part = Annotated[float, Field(ge=0, lt=1)]
Processes = Annotated[int, Field(ge=1, le=1024)]


class Ceilings(StrictSection):
    """The best any classifier can reach."""

    ks: Some[Annotated[int, Field(ge=1, le=230)]] = key("the k of the top-k accuracies")
    threshold: Part = key("weakest line that a measurement shows, as a share of the strongest")
    lattices: AtLeastTwo = key("lattices drawn per family for the ceilings of a measurement")
    wilson_lattices: AtLeastTwo = key("lattices drawn per family for the estimate with physical intensities")


class Train(StrictSection):
    """How every model is trained."""

    device: Literal["auto", "cpu", "cuda"] = key(
        "auto takes a GPU where there is one; see config/README.md for when a job asks for one"
    )
    threads: Processes = key(
        "CPU threads of one training job; part of the result, so never taken from --cores"
    )
    precision: Literal["auto", "bfloat16", "float32"] = key(
        "of the network; auto takes bfloat16 where the processor multiplies it natively"
    )
    processes: Processes = key(
        "processes of this machine that train one model together, one GPU or `threads` CPU threads each; "
        "changes results by rounding alone (and dropout masks). Over several machines, start `xtinct train` "
        "with torchrun, whose processes then count in place of these"
    )
    compile: Literal["auto", "always", "never"] = key(
        "torch.compile; auto takes it for long runs on a GPU, where it pays, and goes on without it where it "
        "fails"
    )
    batch_size: int = key(
        "patterns of one step, over all processes; a multiple of processes x ghost_batch", ge=2
    )
    ghost_batch: int = key(
        "patterns that share the statistics of a batch normalisation, and the least that must fit into "
        "memory at a time; no matter how a batch is divided, the result is the same",
        ge=2,
    )
    gradient_clip: NotNegative = key(
        "largest norm of the gradient, longer ones are scaled down to it; 0 for none"
    )
    optimizer: Literal["muon", "adamw", "adam"] = key(
        "muon (matrices and kernels, AdamW for the rest), adamw or adam"
    )
    learning_rate: LearningRate = key("of AdamW (head, norms and biases)")
    muon_learning_rate: LearningRate = key("of Muon (matrices and kernels)")
    weight_decay: float = key("decoupled weight decay of both optimisers", ge=0, le=1)
    schedule: Literal["cosine", "constant", "plateau"] = key(
        "course of the learning rate: cosine after its rise, constant, or plateau, which lowers it when the "
        "validation accuracy stays"
    )
    warmup: Part = key("share of the steps over which the learning rate rises")
    validation_patterns: int = key("patterns that the model is validated on; 0 for none", ge=0)
    validations: Count = key("number of times the model is validated on the way")
    stop_confidence: Part = key(
        "confidence of the interval of the validation accuracy; training stops when the interval holds the "
        "ceiling of the extinction laws for groups as frequent as in training; 0 for never"
    )


class TrainingKeys(Changes):
    """How one experiment trains, where it differs from `train`, and remedies against rare groups."""

    optimizer: Literal["muon", "adamw", "adam"] = optional_key("in place of train.optimizer")
    learning_rate: LearningRate = optional_key("in place of train.learning_rate")
    muon_learning_rate: LearningRate = optional_key("in place of train.muon_learning_rate")
    weight_decay: Share = optional_key("in place of train.weight_decay")
    schedule: Literal["cosine", "constant", "plateau"] = optional_key("in place of train.schedule")
    patience: Annotated[int, Field(ge=0)] = optional_key(
        "of plateau: validations in a row without a higher accuracy that leave the rate alone; without it 10"
    )
    factor: Annotated[float, Field(gt=0, lt=1)] = optional_key(
        "of plateau: what the rate is multiplied by then; without it 0.1"
    )
    l1: NotNegative = optional_key(
        "penalty on the sum of the absolute weights of matrices and kernels; without it 0"
    )
    l2: NotNegative = optional_key("penalty on the sum of their squares; without it 0")
    warmup: Part = optional_key("in place of train.warmup")
    loss: Literal["cross-entropy", "focal", "logit-adjusted"] = optional_key(
        "what is minimised; focal weighs down what is known already, logit-adjusted adds the logarithm of "
        "each output's share in training to its logit. Without it cross-entropy"
    )
    focusing: NotNegative = optional_key("exponent of the focal loss; without it 2")
    sampling: Literal["as-drawn", "class-balanced"] = optional_key(
        "class-balanced draws every output of the model equally often from stored training sets, and "
        "goes with no prior of the experiment. Without it as-drawn"
    )
    correction: Literal["none", "prior"] = optional_key(
        "prior divides the answers by each output's share in training. Without it none. Of logit-adjusted, "
        "class-balanced and prior one at most, because each makes answers for outputs of equal frequency"
    )


class Logq(StrictSection):
    """Convolutions over a log(sin theta) axis."""

    kind: Literal["logq"] = key(
        "convolutions over a log(sin theta) axis, on which a lattice scale is a shift"
    )
    points: int = key("points of the log(sin theta) axis; 32 times a power of two", ge=256)
    width: Count = key("channels of the first convolution")
    hidden: Count = key("units of the dense layer")


class Fcn13(StrictSection):
    """The 13-layer network of the seed paper."""

    kind: Literal["fcn13"] = key("the 13-layer network of the seed paper; needs 8192 points")


class Parkcnn(StrictSection):
    """The network of Park et al."""

    kind: Literal["parkcnn"] = key("the network of Park et al. as reported by Schopmans et al.")
    size: Literal["small", "medium", "big"] = key("of its dense layers")
    dropout: bool = key("with its dropout layers")


class Resnet(StrictSection):
    """A one-dimensional ResNet."""

    kind: Literal["resnet"] = key("the one-dimensional ResNet of Schopmans et al.")
    depth: Literal[10, 50, 101] = key("number of layers")


SimxrdName = Literal[
    "CNN1", "CNN2", "CNN3", "CNN4", "CNN5", "CNN6", "CNN7", "CNN8", "CNN9", "CNN10", "CNN11", "MLP", "RNN",
    "BiRNN", "LSTM", "BiLSTM", "GRU", "BiGRU", "Transformer", "iTransformer", "PatchTST",
]  # fmt: skip


class Simxrd(StrictSection):
    """A network of the SimXRD benchmark."""

    kind: Literal["simxrd"] = key("one of the 21 networks of the SimXRD benchmark")
    name: SimxrdName = key("of the network in the published table")
    version: Literal["as-published", "repaired"] = key(
        "as-published keeps the defects of the released code, repaired has the same layers without them; "
        "see docs/zoo.md"
    )


class Extratrees(StrictSection):
    """Extremely randomised trees."""

    kind: Literal["extratrees"] = key(
        "extremely randomised trees of scikit-learn, fitted at once on all patterns of the budget, which are "
        "kept in memory; needs pip install 'xtinct[classical]'"
    )
    trees: Count = key("number of trees")
    min_leaf: Count = key("least number of training patterns in a leaf")


class StudentReport(StrictSection):
    """A network of a student report."""

    kind: Literal["report"] = key("a network of a student report on space groups")
    name: Literal["ann", "ann-normalised", "cnn"] = key("of the network")
    input: Literal["pattern", "peaks", "pairs"] = key(
        "pattern, the same with its peaks alone, or pairs of 2theta and intensity of the peaks in a row, "
        "padded with zeros"
    )


class Slides(StrictSection):
    """A network of slides."""

    kind: Literal["slides"] = key("a network of slides on crystal systems")
    name: Literal["dense", "cnn-dense", "cnn-lstm", "small-cnn-lstm", "bilstm", "transformer"] = key(
        "of the network"
    )
    input: Literal["pattern", "peaks", "pairs"] = key("as of report")


class OwnNetwork(StrictSection):
    """A network of your own."""

    kind: Annotated[
        str, Field(pattern=PATTERN, description="import path of a class, package.module:Class")
    ] = key("import path of a torch.nn.Module of your own, package.module:Class; see docs/data.md")
    arguments: dict[str, Any] = optional_key("of its __init__, beside instrument and n_outputs")


AnyModel = by_kind(
    Logq, Fcn13, Parkcnn, Resnet, Simxrd, Extratrees, StudentReport, Slides, by_path=OwnNetwork
)


class VariationKeys(StrictSection):
    """What differs from one training pattern to the next, as ranges."""

    width_factor: Range = optional_key("factor of every peak's width, log-uniform")
    zero_shift: Range = optional_key("degree 2theta, uniform")
    displacement: Range = optional_key("of the specimen, mm, uniform")
    background: Range = optional_key("mean height in units of the highest peak, uniform")
    log_background: Range = optional_key("the same, log-uniform; one of the two")
    hump: Range = optional_key("height of an amorphous hump in units of the highest peak, log-uniform")
    hump_two_theta: Range = optional_key("its place, degree, uniform")
    hump_fwhm: Range = optional_key("its full width at half maximum, degree, uniform")
    air_scatter: Range = optional_key(
        "rise of the background at the first angle, in units of its mean height, uniform"
    )
    air_decay: Range = optional_key("degrees in which that falls to 1 / e, uniform")
    counts: Range = optional_key("at the maximum, log-uniform, for Poisson noise")
    impurity_lines: Range = optional_key("number of foreign lines")
    impurity_intensity: Range = optional_key("in units of the strongest line")
    impurity_d_star: Range = optional_key("their positions, 1/angstrom")
    foreign_phase: Range = optional_key(
        "strongest line of another crystal of the training set, in units of the strongest line, log-uniform"
    )
    fwhm: Range = optional_key(
        "width of a peak at 0 degrees, degree, in place of instrument.fwhm, log-uniform"
    )
    microstrain: Range = optional_key(
        "e of a broadening by 4 e tan(theta) radians, which adds to fwhm as squares, uniform"
    )
    crystallite_size: Range = optional_key("angstrom, in place of the instrument's, log-uniform")
    eta: Range = optional_key(
        "share of the Lorentzian in a pseudo-Voigt, in place of instrument.profile, uniform"
    )
    asymmetry: Range = optional_key(
        "half the height of slit and sample over the goniometer's radius, for axial divergence, uniform"
    )
    k_beta: Range = optional_key("intensity of K-beta over that of the first wavelength, log-uniform")
    tungsten: Range = optional_key("intensity of tungsten's L-alpha1 over that, log-uniform")
    start: Range = optional_key("first angle that is measured, degree, uniform; zero before it")
    end: Range = optional_key("last angle that is measured, degree, uniform; zero after it")
    d_scale: Range = optional_key("factor of all d, log-uniform")
    strain: Range = optional_key(
        "relative change of each free axis, and of each free angle in radians, uniform; the symmetry stays"
    )
    b_iso: Range = optional_key("added to the temperature factor's B, angstrom^2, uniform; may be negative")
    texture: Range = optional_key(
        "March's r of a preferred orientation, log-uniform, along one of seven poles, drawn for each pattern"
    )
    shares: dict[Name, Share] = optional_key(
        "share of the patterns that show one of these, as {foreign_phase: 0.3}; without it all do"
    )


class TransformKeys(StrictSection):
    """What is done to a pattern before a network sees it, training pattern or measured one."""

    start: float = optional_key("first angle that is looked at, degree; zero before it", ge=0, lt=180)
    end: float = optional_key("last angle that is looked at, degree; zero after it", gt=0, lt=180)
    background: one_of(BACKGROUNDS) = optional_key(
        "snip takes off what varies slowly; keep, as without it, leaves it"
    )
    half_width: float = optional_key(
        "degree, of the widest thing that snip takes for a peak; without it 1", gt=0, le=90
    )
    values: one_of(VALUES) = optional_key(
        "linear, as without it; root, the square root; log, log(y / floor) / log(1 / floor) and 0 below floor"
    )
    floor: float = optional_key("of log, in units of the maximum; without it 1e-4", gt=0, lt=1)


class PriorKeys(StrictSection):
    """How frequent space groups are in training: (weight + added) ** power of each."""

    of: str = key(
        "balanced: every group the same; natural: as in the stored training sets of the experiment, and "
        "where it has none as in the Materials Project; mp: as in the Materials Project; or a table (.csv, "
        ".parquet) with spacegroup_number and weight (without weight, rows are counted)"
    )
    power: NotNegative = optional_key("of the weights; 0 makes them equal, 1 (without it) leaves them")
    added: NotNegative = optional_key(
        "to the weight of each of the 230 groups, so that none is impossible; 0 without it"
    )


class ExperimentKeys(StrictSection):
    """What is trained on what and tested on what."""

    train: by_type(
        text=str,
        mapping=Annotated[
            dict[str, Annotated[Positive, Field(description="weight of a training set")]], Field(min_length=1)
        ],
    ) = key(
        "training set: a dataset, a key of variants, or one that draws fresh samples for ever: ulbd-online "
        "by ulbd.intensities, wilson-online and physical-online by the law that they are named after, "
        "gcdd-online generated crystals; line lists of your own, a folder with FAMILY.parquet (its name has "
        "a /); or a mixture, a mapping of training sets to weights"
    )
    target: Literal["spacegroup", "extinction_class", "crystal_system"] = key("what the model tells apart")
    families: Some[one_of([*FAMILIES, "all"])] = key(
        "crystal families, one model each; all is one model of all groups, not told the family"
    )
    lattices: dict[Family, FamilyLattices] = optional_key(
        "lattices that are drawn while training, in place of ulbd.lattices; without it those. count and "
        "draws do not matter"
    )
    variation: VariationKeys = optional_key(
        "measuring conditions that differ from one training pattern to the next, as ranges; without it all "
        "patterns are measured as the instrument is configured"
    )
    prior: by_type(text=str, mapping=PriorKeys) = optional_key(
        "how frequent space groups are in training, whatever it trains on: what `of` may be, or a mapping; "
        "without it drawn samples are of all groups equally often, and stored ones as they are"
    )
    transform: TransformKeys = optional_key(
        "what is done to every pattern before the network sees it, in training and at prediction; without it "
        "nothing but the scale to a maximum of 1"
    )
    model: str = key("a key of models")
    patterns: Count = key("the budget, training patterns seen")
    training: TrainingKeys = optional_key("what differs from `train` in this experiment; without it nothing")
    seeds: Some[Seed] = key("one model for each seed")
    tests: Some[Name] = key(
        "datasets and keys of variants whose test part the models are judged on; cddd-coordinates, "
        "cddd-lattice and cddd-both are the test crystals of cddd with these drawn anew"
    )
    libraries: Count = optional_key(
        "judges the models on the crystals that they were trained on as well, each measured so many times "
        "anew under the law of `variation`, beside the test crystals of the training set; needs `variation` "
        "and one stored training set. Without it not"
    )
    figures: bool = optional_key(
        "true draws each model in the report: curves, certainties, a map of its last features, errors by "
        "descriptors of the crystals and, where training varied it, by crystallite size, importances of "
        "trees; needs pip install 'xtinct[classical]'. Without it false"
    )


class Robustness(StrictSection):
    """Accuracy of every model when a measurement differs from the instrument, one thing at a time."""

    tests: Distinct[Name] = key(
        "datasets and keys of variants; the curves of a model are measured on those that are among its tests"
    )
    patterns: Count = key("samples of the test part of each, from all over it")
    counts: list[Positive] = key("at the maximum, for Poisson noise")
    width_factor: list[Annotated[float, Field(gt=0, le=100)]] = key("multiplies the width of every peak")
    zero_shift: list[Annotated[float, Field(ge=-10, le=10)]] = key("added to the instrument's, degree")
    start: list[Annotated[float, Field(ge=0, lt=180)]] = key("first 2theta that is measured, degree")
    end: list[Annotated[float, Field(gt=0, lt=180)]] = key("last 2theta that is measured, degree")


class ObserverKeys(StrictSection):
    """Lattice by indexing and extinction class by the exact law, without training."""

    families: Distinct[one_of(family for family in FAMILIES if family != "triclinic")] = key(
        "crystal families whose test sets are judged, of those in families"
    )
    samples: Count = key("samples of the test part of each test set, from all over it")
    laws: dict[str, Literal["uniform", "physical"]] = key(
        "datasets and keys of variants that are judged, with the intensity law to expect there"
    )
    hybrid: str = key(
        "experiment whose models of the same families (first seed) the observer is combined with"
    )


class Report(StrictSection):
    """The page with the results."""

    title: str = key("heading of the page")
    confidence: float = key("of the Wilson intervals", gt=0, lt=1)
