"""A checkpoint of MONAI's or of PyTorch's gives the backbone its first weights."""

import json

import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from capsmed import config
from capsmed.config import Weights
from capsmed.engines import weights
from capsmed.engines.train import train
from capsmed.errors import CheckpointError, ConfigError
from capsmed.handlers.checkpoint import read
from capsmed.report.methods import methods
from capsmed.report.run import read_run
from tests.engines.blobs import tiny

FOLD = "repeat-0/seed-0/fold-0"


class Classifier(nn.Module):
    """A backbone in a wrapper's name, with a head."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        stem = nn.Conv2d(1, channels, 3)
        self.backbone = nn.Sequential(stem, nn.BatchNorm2d(channels), nn.Conv2d(channels, 5, 3))
        self.head = nn.Linear(5, 2)


def save(folder, content, name="start.pt"):
    torch.save(content, folder / name)
    return Weights(file=name)


def source():
    return {name: torch.full_like(t, 7) for name, t in Classifier().backbone.state_dict().items()}


@pytest.mark.parametrize(
    ("wrap", "start"),
    [
        (lambda state: state, ""),
        (lambda state: state, "module."),
        (lambda state: state, "network.encoder."),
        (lambda state: {"model": state, "optimizer": {"state": {}, "param_groups": []}}, ""),
        (lambda state: {"state_dict": state, "epoch": 3}, "module.backbone."),
        (lambda state: {"network": state, "classes": ["a", "b"]}, "backbone."),
        (lambda state: {"net": state}, "features."),
        (lambda state: {"classifier": state, "optimizer": {"state": {}}, "epoch": 2}, ""),
    ],
    ids=["plain", "module", "encoder", "monai", "lightning", "capsmed", "net", "saver"],
)
def test_checkpoints_of_many_layouts_fill_the_backbone(tmp_path, wrap, start):
    state = {f"{start}{name}": value for name, value in source().items()}
    network = Classifier()
    taken = weights.load(network, save(tmp_path, wrap(state)), tmp_path)
    assert (taken.taken, taken.absent, taken.other_shape, taken.unused) == (9, [], [], [])
    assert all((tensor == 7).all() for tensor in network.backbone.state_dict().values())


def test_what_is_left_out_is_named(tmp_path):
    state = {f"backbone.{name}": value for name, value in source().items()}
    state |= {"head.weight": torch.zeros(9, 5), "backbone.0.weight": torch.zeros(3, 4, 3, 3)}
    del state["backbone.2.bias"]
    taken = weights.load(Classifier(), save(tmp_path, state), tmp_path)
    assert (taken.taken, taken.absent, taken.other_shape) == (7, ["2.bias"], ["0.weight"])
    assert taken.unused == ["head.weight"]
    assert taken.line() == (
        "7 of 9 tensors of backbone (82.5% of the numbers) from start.pt; "
        "1 not in the file (2.bias); 1 of another shape (0.weight); "
        "1 of the file unused (head.weight)"
    )


def test_the_record_counts_what_is_unused_and_names_the_first(tmp_path):
    extra = {f"deep.{number}.weight": torch.zeros(2) for number in range(48)}
    state = {f"backbone.{name}": value for name, value in source().items()} | extra
    record = weights.load(Classifier(), save(tmp_path, state), tmp_path).record()
    first = ["deep.0.weight", "deep.1.weight", "deep.2.weight"]
    assert record["unused"] == {"count": 48, "first": first}


def test_the_head_keeps_its_own_weights(tmp_path):
    network = Classifier()
    before = network.head.weight.clone()
    weights.load(network, save(tmp_path, source()), tmp_path)
    assert torch.equal(network.head.weight, before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"layer.weight": torch.zeros(3)}, r"expected tensors of backbone \(0\.weight, .*name the"),
        ({"epoch": 3}, r"got none under its keys \(epoch\) in start\.pt; .*state_dict"),
        ([1, 2], r"expected named tensors, alone or under one key, got none but a list in start"),
        ({}, r"expected named tensors, alone or under one key, got none in start"),
        ({"ema": source(), "raw": source()}, r"got them under 2 keys \(ema, raw\) in start\.pt; "),
        (source() | {"0.bias": torch.full((3,), torch.nan)}, r"finite numbers, got .*\(0\.bias\)"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        weights.load(Classifier(), save(tmp_path, content), tmp_path)


def test_a_file_with_more_than_tensors_is_not_run(tmp_path):
    chosen = save(tmp_path, Classifier())
    with pytest.raises(CheckpointError, match=r"holds Python objects \(\S*Classifier\), .*; save "):
        weights.load(Classifier(), chosen, tmp_path)


def test_missing_and_truncated_files_are_refused(tmp_path):
    chosen = save(tmp_path, source())
    path = tmp_path / "start.pt"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(CheckpointError, match=r"expected a checkpoint .* damaged"):
        weights.load(Classifier(), chosen, tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"weights\.file: .*no such file.*mend the path"):
        weights.load(Classifier(), chosen, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"got start\.pt, which is empty; copy it anew$"),
        (
            b"epoch 3\n",
            r"got start\.pt, which is no file of torch\.save; save .*state_dict\(\), path",
        ),
        (b"\x80\x02cut", r"got start\.pt, which .*; (copy|save) "),
    ],
    ids=["empty", "text", "cut"],
)
def test_files_of_another_kind_are_told_in_own_words(tmp_path, content, message):
    (tmp_path / "start.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        weights.load(Classifier(), Weights(file="start.pt"), tmp_path)


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [((3, 3, 3), "other spatial_dims, 2D or 3D"), ((3, 3), "another size, such as other ch")],
)
def test_batch_norms_alone_are_told_as_little(tmp_path, kernel, reason):
    sizes = {"0.weight": (4, 1), "2.weight": (9, 3)}
    state = source() | {name: torch.zeros(*size, *kernel) for name, size in sizes.items()}
    taken = weights.load(Classifier(), save(tmp_path, state), tmp_path)
    assert taken.line().startswith("7 of 9 tensors of backbone (11.4% of the numbers) from start")
    assert "Warning: expected weights for most of backbone, got 11.4% of" in taken.lines()[1]
    assert f"the file is likely of a network of {reason}" in taken.lines()[1]


def test_strict_wants_every_tensor_of_the_part(tmp_path):
    state = source()
    del state["2.bias"]
    chosen = save(tmp_path, state).model_copy(update={"strict": True})
    with pytest.raises(CheckpointError, match=r"weights\.strict: .*8 of 9.*\(2\.bias\); leave str"):
        weights.load(Classifier(), chosen, tmp_path)


def test_an_unknown_part_is_told_with_the_nearest(tmp_path):
    chosen = save(tmp_path, source()).model_copy(update={"into": "backbon"})
    with pytest.raises(ConfigError, match=r"\(backbone, head, .*'backbon'; did you mean 'backb"):
        weights.load(Classifier(), chosen, tmp_path)


@pytest.fixture(scope="module")
def pretrained(blobs, tmp_path_factory):
    """A run's folder and the experiment that starts from its encoder, which it freezes."""
    home = tmp_path_factory.mktemp("clinic_of_Quxley")
    first = train(tiny(str(blobs), training={"epochs": 1}), base=blobs.parent, out=home / "first")
    (first / FOLD / "checkpoints" / "last.pt").rename(home / "encoder.pt")
    experiment = tiny(
        str(blobs),
        weights={"file": "encoder.pt", "into": "encoder", "strict": True},
        training={"freeze": ["encoder"], "lr_scale": {"classes": 3.0}},
        baselines={"models": ["ordinary_head"]},
    )
    return train(experiment, base=home, out=home.parent / "run"), experiment, home


def test_a_training_starts_from_the_file_and_says_so(pretrained):
    run, _, home = pretrained
    given = {k: v for k, v in read(home / "encoder.pt")["network"].items() if "encoder" in k}
    for fold in (run / FOLD, run / "baselines" / "ordinary_head" / FOLD):
        end = read(fold / "checkpoints" / "last.pt")["network"]
        assert given and all(torch.equal(end[name], value) for name, value in given.items())
        record = json.loads((fold / "fold.json").read_text())
        assert (record["weights"]["taken"], record["weights"]["absent"]) == (len(given), [])
        assert record["frozen"] == sum(value.numel() for value in given.values())


def test_a_run_keeps_the_files_folder_to_itself_and_goes_on(pretrained):
    run, _, home = pretrained
    assert yaml.safe_load((run / "config.yaml").read_text())["weights"]["file"] == "encoder.pt"
    assert "Quxley" not in (run / "environment.json").read_text()
    assert pd.read_csv(run / "private" / "weights.csv")["folder"][0] == str(home)
    loaded = config.load_run(run)
    (run / FOLD / "fold.json").unlink()
    (run / FOLD / "checkpoints" / "last.pt").unlink()
    before = (run / "predictions.csv").read_bytes()
    train(loaded.experiment, base=loaded.base, out=run, resume=True)
    assert (run / "predictions.csv").read_bytes() == before


def test_a_run_does_not_go_on_from_another_file(pretrained):
    run, _, home = pretrained
    loaded = config.load_run(run)
    content = (home / "encoder.pt").read_bytes()
    changed = read(home / "encoder.pt")
    changed["epoch"] = 99
    torch.save(changed, home / "encoder.pt")
    with pytest.raises(CheckpointError, match="got one of the same name with other content"):
        train(loaded.experiment, base=loaded.base, out=run, resume=True)
    (home / "encoder.pt").write_bytes(content)


def test_the_methods_paragraph_names_file_frozen_parts_and_rates(pretrained):
    text = " ".join(methods(read_run(pretrained[0])))
    assert "Weights of encoder started from 'encoder.pt'. Frozen: encoder." in text
    assert "Learning rate: classes × 3." in text
