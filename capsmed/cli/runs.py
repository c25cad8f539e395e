"""Commands on a run folder: train, tune, evaluate."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

import click

from capsmed.cli.options import (
    ALLOW_IMPORT,
    CONFIG,
    DATA_ROOT,
    DEVICE,
    ENCODING,
    FIRST_PIXEL,
    FRAME,
    OUT,
    RESUME,
    RUN,
    SET,
)
from capsmed.cli.program import Stopped
from capsmed.cli.result import is_finished, show, show_chosen
from capsmed.cli.smoke import run_smoke, whole_command
from capsmed.errors import ConfigError

if TYPE_CHECKING:
    from capsmed.config import Loaded


@click.command()
@CONFIG
@SET
@OUT
@RESUME
@click.option(
    "--continue",
    "go_on",
    is_flag=True,
    help="With --config: go on with the run if it exists, or show its finished result.",
)
@DEVICE
@click.option(
    "--smoke",
    is_flag=True,
    help="Only see, within a minute, whether it can learn eight cases by heart; writes nothing.",
)
@DATA_ROOT
@ALLOW_IMPORT
@click.pass_context
def train(
    context: click.Context,
    source: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    go_on: bool,
    device: str | None,
    smoke: bool,
    data_root: Path | None,
    allow_import: tuple[str, ...],
) -> None:
    """Train, evaluate and report one experiment."""
    from capsmed import config

    if (source is None) == (resume is None):
        raise click.UsageError("give either --config FILE_OR_NAME or --resume RUN")
    if resume is not None and out is not None:
        raise click.UsageError(
            f"--resume goes on in its own folder; for a new one give --config "
            f"{resume / 'config.yaml'} --out {out}"
        )
    if device is not None:
        overrides = (*overrides, f"device={device}")
    if resume is not None:
        loaded = config.load_run(resume, overrides)
    else:
        loaded = config.load(str(source), overrides)
    if smoke:
        run_smoke(loaded, data_root, allow_import, whole_command(context))
        return
    experiment = loaded.experiment
    folder = resume or out or Path(experiment.output or Path("runs") / experiment.name)
    goes_on = resume is not None or (go_on and (folder / "config.yaml").is_file())
    if goes_on and is_finished(folder, experiment):
        click.echo(f"{folder} is finished; its result:")
        show(folder)
        return
    _train(loaded, folder, goes_on, data_root, allow_import)


@click.command()
@CONFIG
@SET
@OUT
@RESUME
@click.option("--trials", type=click.IntRange(min=1), help="Trials a fold; tuning.trials.")
@DEVICE
@DATA_ROOT
@ALLOW_IMPORT
def tune(
    source: str | None,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    trials: int | None,
    device: str | None,
    data_root: Path | None,
    allow_import: tuple[str, ...],
) -> None:
    """Choose hyper-parameters in each fold, inside its training part only.

    The configuration's `tuning.space` says what may change; without one it is the learning rate
    and the weight decay.
    """
    from capsmed import config

    if (source is None) == (resume is None):
        raise click.UsageError("give either --config FILE_OR_NAME or --resume RUN")
    if resume is not None and trials is not None:
        raise click.UsageError(
            "--trials belongs to --config: a search keeps the number it began with"
        )
    for key, value in (("tuning.trials", trials), ("device", device)):
        overrides = overrides if value is None else (*overrides, f"{key}={value}")
    if resume is not None:
        loaded, folder = config.load_run(resume, overrides), resume
        if not loaded.experiment.tuning.space:
            raise ConfigError(
                f"{resume}: expected a run with tuning.space, got one without; start a search with "
                "--config"
            )
    else:
        loaded = _with_space(config.load(str(source), overrides))
        experiment = loaded.experiment
        folder = out or Path(experiment.output or Path("runs") / f"{experiment.name}-tuned")
    _train(loaded, folder, resume is not None, data_root, allow_import, search_only=True)


def _with_space(loaded: Loaded) -> Loaded:
    """The experiment with what is usually searched, where it does not say what."""
    if loaded.experiment.tuning.space:
        return loaded
    from capsmed import plugins
    from capsmed.engines.tuning.space import usual_space

    plugins.load()
    experiment = loaded.experiment
    tuning = experiment.tuning.model_copy(update={"space": usual_space(experiment)})
    return replace(loaded, experiment=experiment.model_copy(update={"tuning": tuning}))


def _train(
    loaded: Loaded,
    folder: Path,
    resume: bool,
    data_root: Path | None,
    allow_import: Sequence[str],
    search_only: bool = False,
) -> None:
    click.echo("loading libraries ...", err=True)
    try:
        from capsmed import plugins
        from capsmed.engines.tracking import track_report
        from capsmed.engines.train import train

        plugins.load()
        run = train(
            loaded.experiment,
            base=loaded.base,
            out=folder,
            resume=resume,
            command=shareable_command(sys.argv[1:]),
            data_root=data_root,
            allow_import=allow_import,
            search_only=search_only,
        )
        if search_only:
            if _is_first():
                show_chosen(run)
            return
        _report(run)
        if _is_first():
            track_report(run, loaded.experiment)
    except KeyboardInterrupt as error:
        verb = "tune" if search_only else "train"
        raise Stopped(_how_to_go_on(verb, folder, data_root, allow_import)) from error


def shareable_command(arguments: Sequence[str]) -> str:
    """The command line without folders, which may tell a name; reports show it.

    >>> shareable_command(["train", "--config", "/a/x.yaml", "--data-root", "/clinic/jane"])
    'capsmed train --config x.yaml --data-root FOLDER'
    """
    words = []
    for argument in arguments:
        key, equals, value = argument.rpartition("=")
        if "/" in value or "\\" in value:
            path = PurePath(value)
            value = path.name if path.suffix else "FOLDER"
        words.append(key + equals + value)
    return shlex.join(["capsmed", *words])


def _is_first() -> bool:
    """Whether this is the process that reports, the first one under torchrun."""
    return os.environ.get("RANK", "0") == "0"


def _report(run: Path) -> None:
    if not _is_first():
        return
    from capsmed.report import write_report

    write_report(run)
    show(run)


def _how_to_go_on(
    verb: str, folder: Path, data_root: Path | None, allow_import: Sequence[str]
) -> str:
    if not (folder / "config.yaml").is_file():
        return "stopped before anything was written; start again with the same command"
    words = ["capsmed", verb, "--resume", str(folder)]
    if data_root is not None:
        words += ["--data-root", str(data_root)]
    for package in allow_import:
        words += ["--allow-import", package]
    return f"stopped; go on with `{shlex.join(words)}`"


@click.command()
@RUN
@click.option("--cohort", help="Another cohort to predict: a table, a whole set, or 'demo'.")
@click.option(
    "--overlap",
    type=click.Choice(["drop", "out-of-fold"]),
    help="What to do with patients of the other cohort that the run has trained on.",
)
@click.option("--name", help="Name of the evaluation; default: the cohort file's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="To predict the other cohort in; default: as in training. int8: CPUs only.",
)
@FRAME
@FIRST_PIXEL
@ENCODING
@DATA_ROOT
@ALLOW_IMPORT
def evaluate(
    folder: Path,
    cohort: str | None,
    overlap: Literal["drop", "out-of-fold"] | None,
    name: str | None,
    device: str,
    precision: Literal["float32", "bfloat16", "int8"] | None,
    frame: Literal["RAS", "LPS"] | None,
    first_pixel: Literal[0, 1] | None,
    encoding: str | None,
    data_root: Path | None,
    allow_import: tuple[str, ...],
) -> None:
    """Measure a run again, or on another cohort."""
    from capsmed import plugins
    from capsmed.engines.evaluate import evaluate as evaluate_run

    plugins.load()
    result = evaluate_run(
        folder,
        cohort=cohort,
        overlap=overlap,
        name=name,
        frame=frame,
        first_pixel=first_pixel,
        encoding=encoding,
        data_root=data_root,
        device=device,
        precision=precision,
        allow_import=allow_import,
    )
    _report(result)
