"""What recognition says, as text for a terminal."""

from xtinct.observer.answer.wording import table
from xtinct.recognition.recognition import SURE, Known, Recognition
from xtinct.symmetry.operations import hermann_mauguin

#: How many structures, classes and groups are told.
_TOLD = 5


def told(recognition: Recognition) -> str:
    """The answer as text: what it is recognised as, structures, votes, notes, further phases."""
    parts = [recognition.name, _sentence(recognition)]
    if recognition.known:
        parts += [_structures(recognition), _votes(recognition)]
    parts += [_notes(recognition)]
    for i, other in enumerate(recognition.others, start=2):
        parts += [f"Phase {i}, in what is left: {_sentence(other)}", _structures(other)]
    return "\n\n".join(part for part in parts if part)


def _sentence(recognition: Recognition) -> str:
    if not recognition.known:
        return "Not recognised: no structure of the database has a line where a peak is."
    best = recognition.known[0]
    what = f"{best.formula} ({best.structure_id}), {best.symbol} ({best.number})"
    chance = f"probability {recognition.probability:.2f}"
    if recognition.doubtful:
        return f"Not recognised: the most alike of {recognition.structures:,} structures is {what}, {chance}."
    sure = "Recognised as" if recognition.probability > SURE else "Perhaps"
    return (
        f"{sure} {what}, {chance}. This is the likeness to a known structure; what the absences "
        "show is another question, which `xtinct index` answers."
    )


def _cell(known: Known) -> tuple[str, ...]:
    lengths = (f"{x:.4f}" for x in known.cell[:3])
    return (*lengths, *(f"{x:.2f}" for x in known.cell[3:]))


def _structures(recognition: Recognition) -> str:
    rows = [
        (
            *(one.structure_id, one.formula, f"{one.symbol} ({one.number})", one.bravais, *_cell(one)),
            *(f"{one.cosine:.2f}", f"{one.explained:.2f}", f"{one.score:.1f}", f"{one.probability:.2f}"),
            f"{len(one.also)}" if one.also else "",
        )
        for one in recognition.known[:_TOLD]
    ]
    angles = ("alpha", "beta", "gamma")
    header = (
        *("structure", "formula", "space group", "lattice", "a (A)", "b (A)", "c (A)", *angles),
        *("cosine", "explained", "score", "probability", "also"),
    )
    text = table(header, rows)
    if any(one.also for one in recognition.known[:_TOLD]):
        text += (
            "\nalso: structures of the same elements that this pattern does not tell from it (all in --json)"
        )
    return text


def _votes(recognition: Recognition) -> str:
    systems, classes = list(recognition.systems.items()), list(recognition.classes.items())
    groups = list(recognition.groups.items())
    rows = []
    for i in range(_TOLD):
        system, p_system = systems[i] if i < len(systems) else ("", 0.0)
        (family, symbol), p_class = classes[i] if i < len(classes) else (("", ""), 0.0)
        group, p_group = groups[i] if i < len(groups) else (0, 0.0)
        rows.append(
            (
                *(system, _percent(p_system), f"{family} {symbol}".strip(), _percent(p_class)),
                *(f"{hermann_mauguin(group)} ({group})" if group else "", _percent(p_group)),
            )
        )
    header = (
        "crystal system",
        "probability",
        "extinction class",
        "probability",
        "space group",
        "probability",
    )
    return "Votes of known structures:\n" + table(header, rows)


def _percent(probability: float) -> str:
    return f"{probability:.2f}" if probability else ""


def _notes(recognition: Recognition) -> str:
    return "\n".join(recognition.notes)
