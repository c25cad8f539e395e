"""The trials of one search, kept as a file; Optuna suggests the next from those before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import optuna

from capsmed import seeds
from capsmed.engines.run_folder import RunFolder
from capsmed.engines.tuning.space import Choices, Values, distributions, to_parameters, to_values
from capsmed.errors import CheckpointError

FILE = "trials.json"
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
_STATES = {
    COMPLETE: optuna.trial.TrialState.COMPLETE,
    PRUNED: optuna.trial.TrialState.PRUNED,
    FAILED: optuna.trial.TrialState.FAIL,
}


@dataclass(frozen=True)
class Trial:
    """What was tried and how it went.

    Attributes:
        values: of the configuration, by key.
        state: complete, pruned (worse than half of the others on its first inner folds) or failed.
        scores: of the inner folds that were run; higher is better.
        seconds: of computing.
        reason: of a failure.
    """

    values: Values
    state: str
    scores: tuple[float, ...] = ()
    seconds: float = 0.0
    reason: str = ""

    @property
    def score(self) -> float:
        """The mean over its inner folds; NaN without any."""
        return sum(self.scores) / len(self.scores) if self.scores else float("nan")


@dataclass
class Trials:
    """All trials of one search, in order.

    The next is suggested from those in the file and a seed of its number, so a search that was
    killed goes on to the trials it would have had.

    Attributes:
        folder: where the file is.
        space: what may be tried.
        first: the configured values, which the first trial has, in the space or not; empty where
            some are not known.
        key: what the randomness is derived from.
        wanted: how many trials there are to be.
    """

    folder: Path
    space: Mapping[str, Choices]
    first: Values
    key: tuple[int, ...]
    wanted: int
    done: list[Trial] = field(default_factory=list)

    def read(self) -> Trials:
        """Take up what is in the file.

        Raises:
            CheckpointError: it is damaged.
        """
        if (self.folder / FILE).exists():
            try:
                rows = RunFolder(self.folder).read_json(FILE)["trials"]
                self.done = [Trial(**{**row, "scores": tuple(row["scores"])}) for row in rows]
                for trial in self.done:
                    _STATES[trial.state], trial.values.keys(), float(trial.score)
            except (KeyError, TypeError, AttributeError, CheckpointError) as error:
                raise CheckpointError(
                    f"{self.folder / FILE}: expected the trials of a search, got something else; "
                    "delete the file and go on with the run: the search begins anew"
                ) from error
        return self

    def ask(self) -> Values:
        """The values of the next trial."""
        if not self.done and self.first:
            return dict(self.first)
        return to_values(self.space, self._next().params)

    def is_worse(self, scores: list[float]) -> bool:
        """Whether the next trial, with these scores so far, is below the median of those before."""
        trial = self._next()
        for step in range(len(scores)):
            trial.report(sum(scores[: step + 1]) / (step + 1), step)
        return bool(trial.should_prune())

    def add(self, trial: Trial, *, write: bool) -> None:
        """Take up a trial; one process writes the file."""
        self.done.append(trial)
        if write:
            rows = [{**asdict(each), "scores": list(each.scores)} for each in self.done]
            RunFolder(self.folder).write_json(FILE, {"trials": rows})

    @property
    def best(self) -> int | None:
        """The place of the best complete trial, of equals the first; None where all failed."""
        complete = [n for n, trial in enumerate(self.done) if trial.state == COMPLETE]
        return max(complete, key=lambda n: self.done[n].score, default=None)

    def _next(self) -> optuna.Trial:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        number = len(self.done)
        sampler = optuna.samplers.TPESampler(
            seed=seeds.derive(*self.key, number), n_startup_trials=min(10, self.wanted // 2)
        )
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        known = distributions(self.space)
        for trial in self.done:
            inside = to_parameters(self.space, trial.values)
            if len(inside) == len(self.space):  # Optuna knows of nothing outside the space
                study.add_trial(_frozen(trial, inside, known))
        return study.ask(known)


def _frozen(
    trial: Trial, parameters: dict[str, Any], known: dict[str, Any]
) -> optuna.trial.FrozenTrial:
    means = [sum(trial.scores[: n + 1]) / (n + 1) for n in range(len(trial.scores))]
    return optuna.trial.create_trial(
        state=_STATES[trial.state],
        value=trial.score if trial.state == COMPLETE else None,
        params=parameters,
        distributions=known,
        intermediate_values=dict(enumerate(means)),
    )
