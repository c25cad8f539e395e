"""Did a fold learn? Judged from the facts that ``fold.json`` keeps under ``learning``.

Every diagnosis is a function of those facts alone: ``facts -> the figure that shows it, or None``.
All thresholds but that of `dead` stand here. Where a fact is missing (no capsules, a loss of one
term, an old run), the diagnoses that need it do not apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from capsmed.metrics.advice import OPTIONS, advice, causes
from capsmed.metrics.dead import DEAD_MARGIN, dead

Facts = Mapping[str, Any]

EQUAL_SPREAD = 0.001  # standard deviation of a class's probability over the training cases
CHANCE_AUC = 0.6  # below it, and not to be told from 0.5, a ranking is chance
CHANCE_SKILL = 0.2  # balanced accuracy, 0 at chance and 1 when perfect; 0.2 is 0.6 of two classes
ONE_CLASS = 0.99  # share of the cases that get the most predicted class
LEAST_FALL = 0.02  # share of its first epoch's value that the loss of a learner loses
LATE_FALL = 0.5  # and that it loses where it learnt, but after the chosen epoch
RECONSTRUCTION_SHARE = 0.9  # of the training loss
LEARNT_AUC = 0.9  # of the training part
USEFUL_AUC = 0.75  # an interval that reaches it does not show that only memory is at work


@dataclass(frozen=True)
class Finding:
    """One diagnosis that holds: its name, what it says, the figure that shows it, what to try."""

    name: str
    says: str
    shown: str
    advice: tuple[str, ...]

    @classmethod
    def of(cls, name: str, shown: str, facts: Facts) -> Finding:
        """The diagnosis ``name``, shown by ``shown``, with advice that fits the settings."""
        cause = causes(facts.get("learning_rate"), facts.get("unweighed", ()))
        says = DIAGNOSES[name][0]
        if cause and says.startswith("did not learn"):
            return cls(name, says, shown, cause)
        return cls(name, says, shown, advice(name, facts.get("options", OPTIONS)))

    @property
    def sentence(self) -> str:
        """All of it in one plain sentence."""
        return f"{self.says}: {self.shown}; try {', or '.join(self.advice)}"


def dead_capsules(facts: Facts) -> str | None:
    """No class capsule answers any training case, and the classes are not told apart by less.

    Activations that sum to one may all be small in a network of many classes that has learnt.
    """
    found = facts.get("activations")
    if not found or _told_apart(facts.get("train")):
        return None
    largest, silent = found.get("largest", [found["longest"]]), found.get("silent", [0.0])
    if not dead(largest, silent).all():
        return None
    rest = f", and {max(silent):.2g} without any input" if max(silent) >= DEAD_MARGIN / 10 else ""
    return (
        f"the longest of any training case is {found['longest']:.2g} of at most 1{rest}"
        f"{_course(facts)}"
    )


def equal_outputs(facts: Facts) -> str | None:
    """Every training case gets the same probabilities."""
    spread = facts.get("spread")
    if spread is None or spread >= EQUAL_SPREAD or dead_capsules(facts):
        return None
    return f"a class's probability has a standard deviation of {spread:.1g} over the training cases"


def one_capsule(facts: Facts) -> str | None:
    """One class capsule is the longest of all but every training case; this is chance."""
    if not facts.get("activations") or dead_capsules(facts) or equal_outputs(facts):
        return None
    return _one_answer(facts)


def one_class(facts: Facts) -> str | None:
    """A network of logits gives all but every training case one class; this is chance."""
    return None if facts.get("activations") or equal_outputs(facts) else _one_answer(facts)


def one_answer(part: Facts, cases: str = "training cases") -> str | None:
    """All but every case gets one class, and balanced accuracy is that of chance.

    Args:
        part: as `part_facts` gives it.
        cases: what its cases are, in words.
    """
    if not _by_chance(part) or part["most"]["share"] < ONE_CLASS:
        return None
    name, share = part["most"]["class"], percent(part["most"]["share"])
    return f"class '{name}', in {share} of the cases; {_skill(part, cases)}"


def chosen_too_early(facts: Facts) -> str | None:
    """The chosen weights rank the training part by chance; later ones had learnt it."""
    loss, fall = facts.get("loss") or {}, _fall(facts)
    chosen, epochs = loss.get("chosen_epoch"), loss.get("epochs")
    if fall is None or chosen is None or not _chance(facts):
        return None
    if fall < LATE_FALL or 2 * chosen > epochs:
        return None
    return (
        f"the inner part was best after epoch {chosen} of {epochs}, when the training AUC was "
        f"{span(facts['train']['auc'])}; the training loss went on from {loss['first']:.3g} to "
        f"{loss['last']:.3g}"
    )


def did_not_learn(facts: Facts) -> str | None:
    """The training part is ranked or told apart by chance, or its loss has not fallen."""
    train, fall = facts.get("train"), _fall(facts)
    told = (dead_capsules, equal_outputs, one_capsule, one_class, chosen_too_early)
    if not train or any(judge(facts) for judge in told):
        return None
    if _chance(facts):
        return f"training AUC {span(train['auc'])}, chance is 0.5{_course(facts)}"
    if _by_chance(train):
        area = f"; training AUC {span(train['auc'])}" if train["auc"] else ""
        return f"{_skill(train)}{area}{_course(facts)}"
    area = train["auc"]
    unsure = skill(train) < CHANCE_SKILL or (area is not None and area["low"] <= 0.5)
    if fall is None or fall >= LEAST_FALL or not unsure:
        return None
    loss = facts["loss"]
    return (
        f"the training loss went from {loss['first']:.3g} to {loss['last']:.3g}, and balanced "
        f"accuracy on {train['cases']} training cases is {train['balanced_accuracy']:.2f}, chance "
        f"is {1 / train['classes']:.2f}"
    )


def reconstruction_dominates(facts: Facts) -> str | None:
    """The loss is all but the reconstruction while the classes are not yet told apart."""
    share, area = reconstruction_share(facts), _at(facts, "train", "auc")
    if share is None or area is None:
        return None
    if share < RECONSTRUCTION_SHARE or area["value"] >= LEARNT_AUC:
        return None
    return f"it is {percent(share)} of the training loss, and the training AUC is {span(area)}"


def only_memorised(facts: Facts) -> str | None:
    """The training part is ranked well; cases never trained on by chance, and enough of them."""
    train, other = _at(facts, "train", "auc"), _at(facts, "held_out", "auc")
    if train is None or other is None or train["value"] < LEARNT_AUC:
        return None
    if _by_chance(facts["train"]):
        return None
    if other["low"] > 0.5 or other["high"] >= USEFUL_AUC:
        return None
    cases = facts["held_out"]["cases"]
    return f"training AUC {span(train)}, but {span(other)} on {cases} cases not trained on"


#: Each diagnosis with what it says, in the order of telling.
DIAGNOSES: dict[str, tuple[str, Callable[[Facts], str | None]]] = {
    "dead_capsules": ("did not learn, all class capsules are dead", dead_capsules),
    "equal_outputs": ("did not learn, all outputs are equal", equal_outputs),
    "one_capsule": ("did not learn, one class capsule is always the longest", one_capsule),
    "one_class": ("did not learn, one class is always predicted", one_class),
    "chosen_too_early": ("did not learn, its weights are of too early an epoch", chosen_too_early),
    "did_not_learn": ("did not learn", did_not_learn),
    "reconstruction_dominates": ("the reconstruction rules the loss", reconstruction_dominates),
    "only_memorised": ("only memorised the training part", only_memorised),
}


def diagnose(facts: Facts | None) -> list[Finding]:
    """What is wrong with a training, most telling first; nothing where all is well or unknown.

    Args:
        facts: ``learning`` of a ``fold.json``; None or empty for runs that have none.
    """
    found: list[Finding] = []
    if not facts:
        return found
    for name, (_, judge) in DIAGNOSES.items():
        shown = judge(facts)
        if shown:
            found.append(Finding.of(name, shown, facts))
    return found


def skill(part: Facts) -> float:
    """Balanced accuracy between chance (0) and perfect (1).

    >>> round(skill({"balanced_accuracy": 0.75, "classes": 2}), 2)
    0.5
    """
    chance = 1 / part["classes"]
    return float((part["balanced_accuracy"] - chance) / (1 - chance))


def reconstruction_share(facts: Facts) -> float | None:
    """Share of the reconstruction in the training loss, or None where the loss has no such term."""
    terms = _at(facts, "loss", "terms")
    if not terms or "reconstruction" not in terms:
        return None
    whole = sum(abs(value) for value in terms.values())
    return abs(terms["reconstruction"]) / whole if whole > 0 else None


def span(entry: Facts) -> str:
    """'0.52 (0.41–0.63)'."""
    return f"{entry['value']:.2f} ({entry['low']:.2f}–{entry['high']:.2f})"


def percent(share: float) -> str:
    """A share that is 1 only when it is: '99.9%', never '100%' for less.

    >>> percent(0.99996), percent(0.93)
    ('more than 99.9%', '93%')
    """
    if 0.999 < share < 1:
        return "more than 99.9%"
    return f"{100 * share:.{1 if share > 0.99 else 0}f}%"


def _fall(facts: Facts) -> float | None:
    loss = facts.get("loss")
    if not loss or loss.get("epochs", 0) < 2 or not loss["first"]:
        return None
    return float((loss["first"] - loss["last"]) / abs(loss["first"]))


def _course(facts: Facts) -> str:
    if _fall(facts) is None:
        return ""
    loss = facts["loss"]
    return f", and the training loss went from {loss['first']:.3g} to {loss['last']:.3g}"


def _chance(facts: Facts) -> bool:
    area = _at(facts, "train", "auc")
    return bool(area and area["low"] <= 0.5 and area["value"] < CHANCE_AUC)


def _by_chance(part: Facts) -> bool:
    """Whether its balanced accuracy is near that of guessing, and not to be told from it."""
    low, present = part.get("balanced_low"), part.get("present", 0)
    return low is not None and present > 1 and low <= 1 / present and skill(part) < CHANCE_SKILL


def _told_apart(part: Facts | None) -> bool:
    """Whether its balanced accuracy is clearly above that of guessing."""
    if not part or part.get("balanced_low") is None or part["present"] < 2:
        return False
    return bool(part["balanced_low"] > 1 / part["present"] and skill(part) >= CHANCE_SKILL)


def _one_answer(facts: Facts) -> str | None:
    shown = one_answer(facts["train"]) if facts.get("train") else None
    return f"{shown}{_course(facts)}" if shown else None


def _skill(part: Facts, cases: str = "training cases") -> str:
    value = {key: part[f"balanced_{key}"] for key in ("low", "high")}
    value["value"] = part["balanced_accuracy"]
    return (
        f"balanced accuracy {span(value)} on {part['cases']:,} {cases}, chance is "
        f"{1 / part['present']:.2f}"
    )


def _at(facts: Facts, *keys: str) -> Any:
    value: Any = facts
    for key in keys:
        value = value.get(key) if value else None
    return value
