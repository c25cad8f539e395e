"""What to try when a network did not learn: keys of the configuration, the likeliest first."""

from __future__ import annotations

import re
from collections.abc import Collection

_LEARNING_RATE = "an optimizer.lr ten times larger or smaller"
_SLOWER = "an optimizer.lr ten times smaller"
_SCALE = "a larger network.init_scale"
_NORM = "network.norm: BATCH"

ADVICE: dict[str, tuple[str, ...]] = {
    "dead_capsules": (
        _SCALE, _LEARNING_RATE, "network.bias: true", "fewer iterations in network.routing",
        "more training.epochs",
    ),
    "equal_outputs": (_SLOWER, _NORM, _SCALE),
    "one_capsule": (
        _LEARNING_RATE, _SCALE, "loss.class_weights: balanced where one class has most cases",
        "more training.epochs",
    ),
    "one_class": (
        _LEARNING_RATE, "loss.class_weights: balanced where one class has most cases",
        "more training.epochs", _NORM,
    ),
    "chosen_too_early": ("training.select: last", "a larger split.inner", _SLOWER),
    "did_not_learn": (_LEARNING_RATE, "more training.epochs", _NORM, _SCALE),
    "reconstruction_dominates": ("a loss.reconstruction_weight ten times smaller",),
    "only_memorised": (
        "more augmentation (shift, flip, rotate, noise)", "network.dropout",
        "a smaller network.channels", "a larger loss.reconstruction_weight",
    ),
    "too_slow": (_LEARNING_RATE, _NORM, _SCALE),
    "not_finite": (
        "a smaller optimizer.lr", "training.clip: 1",
        "training.precision: float32 if it is bfloat16",
    ),
}  # fmt: skip

#: Options of networks and losses that are named; not every network and loss has them.
OPTIONS = frozenset(
    key
    for texts in ADVICE.values()
    for text in texts
    for key in re.findall(r"\b(?:network|loss)\.\w+", text)
)

#: What the advice sets them to: of no use where that is the value already.
SETS = {"network.norm": "BATCH", "network.bias": True, "loss.class_weights": "balanced"}

#: What changes nothing in `--smoke`: it has no epochs, and cases of all classes alike.
_NOT_IN_SMOKE = ("training.epochs", "loss.class_weights")


def advice(name: str, options: Collection[str] = OPTIONS) -> tuple[str, ...]:
    """What to change for a diagnosis, the likeliest first.

    Args:
        name: of a diagnosis, or ``too_slow`` or ``not_finite``.
        options: those of `OPTIONS` that this network and loss have and could still change; what
            needs another is left out.

    >>> advice("equal_outputs", {"network.norm"})
    ('an optimizer.lr ten times smaller', 'network.norm: BATCH')
    """
    absent = OPTIONS - set(options)
    return tuple(text for text in ADVICE[name] if not any(key in text for key in absent))


def for_smoke(texts: Collection[str]) -> tuple[str, ...]:
    """Those of ``texts`` that could change how a few cases are learnt by heart.

    >>> for_smoke(["more training.epochs", "network.bias: true"])
    ('network.bias: true',)
    """
    return tuple(text for text in texts if not any(key in text for key in _NOT_IN_SMOKE))


def causes(learning_rate: float | None, unweighed: Collection[str]) -> tuple[str, ...]:
    """Settings under which nothing can be learnt, to name instead of any advice.

    Args:
        learning_rate: ``optimizer.lr``; None where unknown.
        unweighed: classes of which no case counts in the loss.
    """
    found: tuple[str, ...] = ()
    if learning_rate == 0:
        found += ("an optimizer.lr above 0: the learning rate is 0, so no weight changes",)
    if unweighed:
        names = ", ".join(f"'{name}'" for name in unweighed)
        found += (f"loss.class_weights above 0 for {names}: cases of weight 0 teach nothing",)
    return found
