"""The schema of an experiment: with ``checks``, the one place of its defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from capsmed.config.checks import Checks
from capsmed.config.fields import (
    Component,
    Count,
    Flag,
    Fraction,
    Named,
    NotNegative,
    Number,
    Positive,
    Section,
    Whole,
)
from capsmed.config.split import Split
from capsmed.config.tuning import Tuning


class Data(Section):
    """Where the cases come from and what their labels mean."""

    cohort: str = Field(
        description="'demo', a table (.csv, .tsv, .xlsx), a MedMNIST-layout .npz, "
        "a folder of IDX files, or 'digits'"
    )
    encoding: str = Field("utf-8", description="text encoding of a CSV or TSV table")
    frame: Literal["RAS", "LPS"] | None = Field(
        None, description="frame of the columns x, y, z in mm; required when the table has them"
    )
    first_pixel: Literal[0, 1] | None = Field(
        None,
        description="number of the first column and row in the columns 'column' and 'row'; "
        "required when the table has them",
    )
    checks: Checks = Checks()
    classes: tuple[str, ...] | None = Field(
        None, description="labels in class order; others are left out. Default: all, sorted"
    )
    positive: str | None = Field(
        None, description="the class whose probability AUC ranks; default: the last of two"
    )
    diameter: str | None = Field(
        None,
        description="column with the lesion's diameter in mm; default: 'diameter_mm', "
        "'eq_diameter_mm', or measured on the mask",
    )
    on_bad_case: Literal["error", "skip"] = Field(
        "error", description="skip: leave unusable cases out and list them"
    )
    limit: Count | None = Field(None, description="use at most this many cases of each part")

    @model_validator(mode="after")
    def _classes_agree(self) -> Data:
        if self.classes is None:
            return self
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise ValueError(
                f"classes: expected two or more different labels, got {list(self.classes)}"
            )
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError(
                f"positive: expected one of the classes {list(self.classes)}, got {self.positive!r}"
            )
        return self


class Patch(Section):
    """The box cut out around the point (or the image's centre), axes along RAS+ x, y, z."""

    spatial_dims: Literal[2, 3] = Field(3, description="2 for pictures and slices")
    size: tuple[Count, ...] = Field((32, 32, 32), description="voxels along x, y, (z)")
    spacing: Positive | tuple[Positive, ...] | None = Field(
        1.5, description="mm between voxels; null keeps the image's own pixels"
    )
    window: tuple[Number, Number] | None = Field(
        (-1000.0, 400.0), description="intensities (HU) mapped to 0 and 1; null: whole-set range"
    )
    channels: Count = Field(1, description="of the image; 3 for colour pictures")

    @model_validator(mode="after")
    def _dimensions_agree(self) -> Patch:
        if len(self.size) != self.spatial_dims:
            raise ValueError(
                f"size: expected {self.spatial_dims} numbers (spatial_dims), got {len(self.size)}"
            )
        if isinstance(self.spacing, tuple) and len(self.spacing) != self.spatial_dims:
            raise ValueError(
                f"spacing: expected {self.spatial_dims} numbers (spatial_dims), "
                f"got {len(self.spacing)}"
            )
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError(f"window: expected low < high, got {list(self.window)}")
        return self


class Augmentation(Section):
    """Random changes of training patches; 0 or false switches one off."""

    shift: Annotated[Whole, Field(ge=0)] = Field(0, description="voxels, each axis, whole steps")
    flip: Flag = Field(False, description="mirror each axis with probability 0.5")
    rotate: Annotated[Number, Field(ge=0, le=180)] = Field(0.0, description="degrees, each axis")
    scale: Fraction = Field(0.0, description="0.1 zooms by 0.9 to 1.1")
    noise: NotNegative = Field(0.0, description="largest sd, in window units")
    intensity: Fraction = Field(0.0, description="0.1 changes offset and contrast by up to 10%")


class Training(Section):
    """How long and how the network is fitted."""

    epochs: Count = Field(30, description="passes over the training part")
    batch_size: Count = Field(16, description="cases a step, over all processes")
    patience: Count | None = Field(
        None,
        description="stop after this many epochs without a better inner score; "
        "null: run all epochs (best.pt is still the best inner epoch)",
    )
    select: Literal["best", "last"] = Field(
        "best", description="which checkpoint predicts; without an inner part always the last"
    )
    sampling: Literal["balanced", "natural"] = Field(
        "balanced", description="balanced: classes equally often; natural: each case once"
    )
    workers: Annotated[Whole, Field(ge=0)] = Field(0, description="processes that read batches")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: mixed precision"
    )
    convolutions: Literal["auto", "direct", "spectral"] = Field(
        "auto",
        description="large kernels; spectral: by Fourier coefficients; auto: on a CPU where "
        "measured to be faster",
    )
    channels_last: Literal["auto"] | Flag = Field(
        "auto", description="memory layout of convolutions; auto: 2D on CUDA"
    )
    compile: Flag = Field(False, description="torch.compile of the network; needs a C++ compiler")
    tf32: Flag = Field(True, description="CUDA: float32 products in TF32")
    ema: Fraction = Field(0.0, description="decay of the weights' running mean; 0: none")
    clip: NotNegative = Field(0.0, description="largest gradient norm; 0: none")
    freeze: tuple[str, ...] = Field(
        (), description="parts that do not learn, by name, such as [backbone]"
    )
    lr_scale: dict[str, Positive] = Field(
        {}, description="factor on the learning rate of parts, by name; the longest name wins"
    )

    @model_validator(mode="after")
    def _a_compiled_step_is_direct(self) -> Training:
        if self.compile and self.convolutions == "spectral":
            raise ValueError(
                "convolutions: expected auto or direct with compile: true, which computes them "
                "directly, got 'spectral'; change one of the two"
            )
        return self


def _whole_where_null(value: Any) -> Any:
    return "" if value is None else value


class Weights(Section):
    """Which part of the network starts from a checkpoint instead of from chance."""

    file: str | None = Field(
        None, description="a PyTorch or MONAI checkpoint; null: start from chance"
    )
    into: Annotated[str, BeforeValidator(_whole_where_null)] = Field(
        "backbone", description="the part that it fills, by name; '' or null: the whole"
    )
    strict: Flag = Field(False, description="true: every tensor of the part must be in the file")


Baseline = Literal[
    "size_only", "radiomics", "ordinary_head", "average_head", "densenet121", "resnet18"
]


class Baselines(Section):
    """What runs by itself beside the network, in the same folds."""

    models: tuple[Baseline, ...] = Field(
        ("size_only",),
        description="size_only needs diameters or masks; radiomics is a logistic regression on the "
        "lesion's intensities and shape; ordinary_head trains the same encoder or backbone with an "
        "ordinary head, average_head with one that takes each channel's mean; densenet121 and "
        "resnet18 train MONAI's networks of that name from chance",
    )
    clinical: tuple[str, ...] = Field(
        (),
        description="columns of the table, such as age, for a logistic regression; missing values "
        "are filled in inside the folds",
    )
    combined: Flag = Field(
        False,
        description="also a model of the clinical columns and the network's score, weighed on each "
        "fold's inner part",
    )
    scores: tuple[str, ...] = Field(
        (), description="columns that are a score already, such as a reader's, each a baseline"
    )

    @model_validator(mode="after")
    def _something_to_combine(self) -> Baselines:
        if self.combined and not self.clinical:
            raise ValueError("combined: expected columns in clinical with it, got none; add them")
        return self


class Evaluation(Section):
    """What is reported and how sure it is."""

    confidence: Annotated[Number, Field(gt=0.5, lt=1)] = Field(
        0.95, description="level of the intervals"
    )
    bootstrap: Annotated[Whole, Field(ge=100)] = Field(2000, description="resamples")
    threshold: Literal["youden", "sensitivity"] | Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.5,
        description="of the positive class's probability, of two classes; youden or sensitivity: "
        "chosen in each fold on its inner part",
    )
    sensitivity: Annotated[Number, Field(gt=0, le=1)] = Field(
        0.9, description="that the inner part is to reach where the threshold is chosen by it"
    )
    subgroups: tuple[str, ...] = Field(
        (),
        description="columns of the table, such as scanner, whose groups are measured apart; sizes "
        "are where there are diameters",
    )


class Tracking(Section):
    """Where trainings can be watched and compared, beside each one's ``history.csv``."""

    to: tuple[Literal["tensorboard", "mlflow", "csv"], ...] = Field(
        ("tensorboard",),
        description="any of tensorboard, mlflow (needs `pip install 'capsmed[mlflow]'`) and csv; "
        "[]: none",
    )
    experiment: Annotated[str, Field(min_length=1)] = Field(
        "capsmed", description="of MLflow; its runs are compared in one table"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Tracking:
        if len(set(self.to)) < len(self.to):
            raise ValueError(f"to: expected each at most once, got {list(self.to)}")
        return self


class Experiment(Section):
    """One experiment: everything `capsmed train` needs to know."""

    schema_version: Literal[1] = Field(1, description="of this file format")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = Field(
        description="names the run folder"
    )
    output: str | None = Field(None, description="the run folder; default runs/<name>")
    seeds: Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Field(min_length=1)] = Field(
        (0,), description="one whole run of all folds for each"
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")] = Field(
        "auto", description="auto, cpu, cuda, cuda:1, mps"
    )
    data: Data
    patch: Patch = Patch()
    augmentation: Augmentation = Augmentation()
    split: Split = Split()
    network: Named = Field(Component(name="capsnet"), description="and its options")
    weights: Weights = Weights()
    loss: Named = Field(Component(name="capsule"), description="and its options")
    optimizer: Named = Field(Component(name="adam"), description="and its options, such as lr")
    schedule: Named = Field(Component(name="constant"), description="of the learning rate")
    training: Training = Training()
    tuning: Tuning = Tuning()
    baselines: Baselines = Baselines()
    evaluation: Evaluation = Evaluation()
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _seeds_differ(self) -> Experiment:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: expected different numbers, got {list(self.seeds)}")
        return self
