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
    def _keys_are_whole_and_numbers_finite(cls, values: Any) -> Any:
        space = values.get("space") if isinstance(values, dict) else None
        for key, choices in space.items() if isinstance(space, dict) else ():
            if isinstance(choices, dict) and not choices.keys() & Range.model_fields.keys():
                inner = next(iter(choices), "lr")
                raise ValueError(
                    f"space: expected keys written whole, such as {key}.{inner}, got {key!r} with "
                    "keys below it"
                )
            for value in choices if isinstance(choices, list | tuple) else ():
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f"space: expected finite numbers for {key}, got {value}")
        return values
