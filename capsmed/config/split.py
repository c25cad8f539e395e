"""The section ``split``: folds, the inner part, and who is held out of both."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from capsmed.config.fields import Count, Fraction, Number, Section, Whole


def _text(value: Any) -> Any:
    """A number as a table has it: it may stand without quotes."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if number else value


class HeldOut(Section):
    """Patients that are in no fold; the finished folds' networks predict them once."""

    share: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="of the patients, drawn by class from split.seed alone; null: none"
    )
    column: str | None = Field(
        None,
        description="or the column that marks them by yes or no, or by split.held_out.value",
    )
    value: Annotated[str, BeforeValidator(_text)] | None = Field(
        None,
        description="what stands in that column for those held out, such as a hospital's name",
    )

    @property
    def asked(self) -> bool:
        """Whether anybody is held out."""
        return self.share is not None or self.column is not None

    @model_validator(mode="after")
    def _one_way_of_holding_out(self) -> HeldOut:
        if self.share is not None and self.column is not None:
            raise ValueError(
                f"column: expected only one of share and column, got both ({self.share:g} and "
                f"{self.column!r})"
            )
        if self.value is not None and self.column is None:
            raise ValueError(
                f"value: expected a column that has it, got {self.value!r} alone; add column"
            )
        return self


def _share(value: Any) -> Any:
    if value is None:
        return {}
    return {"share": value} if isinstance(value, int | float) else value


HeldOutOrShare = Annotated[
    HeldOut, BeforeValidator(_share, json_schema_input_type=float | HeldOut | None)
]


class Split(Section):
    """Which cases train, which stop the training, which test."""

    folds: Annotated[Whole, Field(ge=2)] = Field(5, description="each case is tested in one")
    repeats: Count = Field(1, description="how often folds are drawn anew")
    seed: Annotated[Whole, Field(ge=0)] = Field(0, description="of drawing the folds")
    by: Literal["patient", "case"] = Field(
        "patient", description="case: only where patients are unknown; scores may be inflated"
    )
    column: Literal["fold", "split"] | None = Field(
        None,
        description="use the table's own column instead of drawing folds; null: use "
        "'split' or 'fold' where the source has one",
    )
    leave_out: str | None = Field(None, description="one fold for each value of this column")
    held_out: HeldOutOrShare = HeldOut()
    inner: Fraction = Field(
        0.2, description="share of the training part's patients kept for early stopping; 0: none"
    )
    tested: Literal["test", "val"] = Field(
        "test",
        description="of a source with parts of its own: val, to choose by, leaves its test part "
        "unused",
    )
    train_cases: Count | None = Field(
        None, description="train on about so many cases of each training part, drawn by patient"
    )

    @model_validator(mode="after")
    def _one_way_of_splitting(self) -> Split:
        if self.column is not None and self.leave_out is not None:
            raise ValueError(
                f"leave_out: expected only one of column and leave_out, got both "
                f"({self.column!r} and {self.leave_out!r})"
            )
        if self.column is not None and self.held_out.asked:
            raise ValueError(
                f"held_out: expected folds that are drawn, or leave_out, got parts given by the "
                f"column {self.column!r}; leave one of the two out"
            )
        return self
