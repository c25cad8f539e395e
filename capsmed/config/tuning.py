"""The section of a search for hyper-parameters."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from capsmed.config.fields import Count, Flag, Number, Section, Whole


class Range(Section):
    """Numbers from ``low`` to ``high`` that a search may take; whole ones where both are whole."""

    low: Whole | Number
    high: Whole | Number
    log: Flag = Field(False, description="as likely in each factor of ten; for learning rates")

    @model_validator(mode="after")
    def _ends_agree(self) -> Range:
        if self.low >= self.high or (self.log and self.low <= 0):
            above = "0 < low < high" if self.log else "low < high"
            raise ValueError(f"low: expected {above}, got {self.low} and {self.high}")
        return self


class Tuning(Section):
    """A search for hyper-parameters, in each fold and inside its training part only."""

    space: dict[str, Range | Annotated[tuple[Any, ...], Field(min_length=2)]] = Field(
        {},
        description="keys such as optimizer.lr and what they may be: {low, high, log} or a list; "
        "empty: no search",
    )
    trials: Count = Field(20, description="tried in each fold, the configured values first")
    folds: Count = Field(
        3,
        description="inner folds by patient that a trial is measured on; 1: measured on the inner "
        "part that also chooses the epoch, for large sets",
    )
    metric: Literal["auc", "log_loss"] = Field(
        "auc", description="mean over the inner folds by which trials are ranked"
    )

    @model_validator(mode="before")
    @classmethod
    def _choices_are_choices(cls, values: Any) -> Any:
        space = values.get("space") if isinstance(values, dict) else None
        for key, choices in space.items() if isinstance(space, dict) else ():
            wrong = _wrong(key, choices)
            if wrong:
                raise ValueError(f"space: {wrong}")
        return values


def _wrong(key: str, choices: Any) -> str:
    """What is wrong with a range or list, in words; '' for nothing."""
    if isinstance(choices, Range):
        return ""
    if isinstance(choices, dict):
        return _wrong_range(key, choices)
    if not isinstance(choices, list | tuple):
        return (
            f"expected for {key} a range such as {{low: 1e-4, high: 1e-2, log: true}} or a list, "
            f"got {choices!r}"
        )
    if len(choices) < 2:
        return f"expected two or more values for {key}, got {list(choices)}; add one or take it out"
    for value in choices:
        if isinstance(value, float) and not math.isfinite(value):
            return f"expected finite numbers for {key}, got {value}"
    return ""


def _wrong_range(key: str, choices: dict[str, Any]) -> str:
    known = list(Range.model_fields)
    if not choices.keys() & set(known):
        inner = next(iter(choices), "lr")
        return f"expected keys written whole, such as {key}.{inner}, got {key!r} with keys below it"
    for name in choices:
        if name not in known:
            return f"expected one of {', '.join(known)} for {key}, got {name!r}"
    for name in ("low", "high"):
        value = choices.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"expected a number as {name} of {key}, got {value!r}"
        if not math.isfinite(value):
            return f"expected a finite number as {name} of {key}, got {value}"
    if not isinstance(choices.get("log", False), bool):
        return f"expected true or false as log of {key}, got {choices['log']!r}"
    return ""
