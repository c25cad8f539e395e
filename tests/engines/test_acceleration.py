"""How a training computes is chosen once, repeated on resuming, and changes results by rounding."""

import functools
import json

import pytest
import torch

from capsmed.config import Training
from capsmed.engines import acceleration, build, convolution_choice
from capsmed.engines.acceleration import Acceleration, decide
from capsmed.engines.display import Display
from capsmed.engines.precision import PrecisionInferer
from capsmed.engines.train import train
from capsmed.errors import CheckpointError, ConfigError
from capsmed.handlers.checkpoint import read
from capsmed.networks import CapsNet, TrainingWrapper
from capsmed.networks.tuning import fastest
from tests.engines.blobs import tiny

CPU = torch.device("cpu")
SHAPE = (3, 1, 12, 12)
FOLD = "repeat-0/seed-0/fold-0"


def wrapper(kernel: int = 5) -> TrainingWrapper:
    network = CapsNet(
        spatial_dims=2, in_channels=1, num_classes=2, input_size=(12, 12), channels=(4,),
        kernel_sizes=(kernel,), primary_capsules=2, primary_dim=4, primary_kernel=3,
    )  # fmt: skip
    return TrainingWrapper(network)


def chosen(folder, kernel: int = 5, **training) -> Acceleration:
    return decide(folder, Training(**training), wrapper(kernel), SHAPE, CPU)


def test_spectral_convolutions_keep_the_names_and_the_scores(tmp_path):
    plain, image = wrapper(), torch.rand(SHAPE)
    other = wrapper()
    other.load_state_dict(plain.state_dict())
    chosen(tmp_path, convolutions="spectral").apply(other)
    assert plain.state_dict().keys() == other.state_dict().keys()
    assert type(other.network.encoder.stages[0][0]) is not type(plain.network.encoder.stages[0][0])
    assert torch.allclose(plain(image)["scores"], other(image)["scores"], atol=1e-5)


def test_a_choice_is_repeated_from_the_folder_whatever_the_configuration_says_now(tmp_path):
    first = chosen(tmp_path, convolutions="spectral", channels_last=True)
    assert chosen(tmp_path, convolutions="direct", channels_last=False) == first
    assert set(first.convolutions.values()) == {"spectral"} and first.channels_last


def test_a_training_that_was_begun_without_a_choice_goes_on_without_one(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.pt").touch()
    assert chosen(tmp_path, convolutions="spectral", channels_last=True) == Acceleration()


def test_torchs_own_way_leaves_no_file(tmp_path):
    assert chosen(tmp_path, kernel=3).plain and list(tmp_path.iterdir()) == []


def test_a_damaged_choice_is_named(tmp_path):
    (tmp_path / acceleration.FILE).write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"acceleration\.json: expected how .* damaged"):
        chosen(tmp_path)


STEM = "encoder.stages.0.0"
WRONG = {
    "another version": ({"schema_version": 2}, r"got schema_version 2 instead of 1"),
    "no version": ({"schema_version": None}, r"got schema_version None instead of 1"),
    "a word for a flag": ({"channels_last": "no"}, r"got channels_last 'no'"),
    "an unknown name": ({"convolutions": {"nope": "spectral"}}, r"got 'nope', which is no conv"),
    "another module": ({"convolutions": {"encoder": "direct"}}, r"got 'encoder', which is no"),
    "an unknown way": ({"convolutions": {STEM: "quick"}}, r"got 'quick' for the convolution 'enc"),
    "a list of ways": ({"convolutions": [STEM]}, r"got a damaged file"),
    "no number": ({"gain": {STEM: float("nan")}}, r"got gain \{'encoder"),
    "a number too large": ({"gain": {STEM: 10**400}}, r"got a damaged file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_choice_that_cannot_be_meant_is_named_with_what_to_do(case, tmp_path):
    chosen(tmp_path, convolutions="spectral")
    path, (change, message) = tmp_path / acceleration.FILE, WRONG[case]
    content = json.loads(path.read_text(encoding="utf-8")) | change
    path.write_text(json.dumps(content), encoding="utf-8")
    advice = "; delete the fold's folder and resume the run"
    with pytest.raises(CheckpointError, match=r"\.json: expected how .*" + message) as told:
        chosen(tmp_path)
    assert str(told.value).endswith(advice) and "\n" not in str(told.value)


def test_without_a_folder_the_choice_is_made_anew_and_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for layout in (True, False):
        assert chosen(None, convolutions="spectral", channels_last=layout).channels_last == layout
    assert list(tmp_path.iterdir()) == []


def test_spectral_without_a_large_kernel_is_refused_before_data_are_read(tmp_path):
    experiment = tiny("no.csv", training={"epochs": 1, "convolutions": "spectral"})
    with pytest.raises(ConfigError, match=r"training\.convolutions: expected a network with a"):
        train(experiment, base=tmp_path, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_second_network_without_large_kernels_is_computed_directly(tmp_path):
    assert chosen(tmp_path, kernel=3, convolutions="spectral").plain


@pytest.mark.parametrize(
    ("direct", "way"), [(1.0, "direct"), (1.1, "direct"), (1.3, "spectral"), (0.5, "direct")]
)
def test_another_way_is_taken_only_where_it_clearly_pays(direct, way):
    assert fastest({"a": {"direct": direct, "spectral": 1.0}}) == {"a": way}


def test_what_was_measured_once_is_read_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSMED_CACHE", str(tmp_path))
    monkeypatch.setenv("CAPSMED_CACHE_GB", "1")
    image = torch.rand(SHAPE)
    convolution_choice.measured(wrapper().network, image, "float32")
    (path,) = (tmp_path / "convolutions").iterdir()
    content = json.loads(path.read_text(encoding="utf-8"))
    content["seconds"] = {name: {"direct": 3.0, "spectral": 1.0} for name in content["seconds"]}
    path.write_text(json.dumps(content), encoding="utf-8")
    found = decide(tmp_path / "fit", Training(), wrapper(), SHAPE, CPU)
    assert found.lines() == [f"convolution {STEM}: spectral, 3.0x as fast as the direct one here"]
    assert convolution_choice.measured(wrapper().network, image, "bfloat16") != content["seconds"]


DAMAGES = {
    "half a file": lambda text: text[: len(text) // 2],
    "a list": lambda text: "[]",
    "nested too deep": lambda text: "[" * 100_000,
    "of another processor": lambda text: text.replace('"processor": "', '"processor": "no '),
    "a number too large": lambda text: text.replace('"direct": ', '"direct": ' + "9" * 400),
    "a negative time": lambda text: text.replace('"direct": ', '"direct": -'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_times_in_the_cache_are_measured_anew(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSMED_CACHE", str(tmp_path))
    monkeypatch.setenv("CAPSMED_CACHE_GB", "1")
    network, image = wrapper().network, torch.rand(SHAPE)
    convolution_choice.measured(network, image, "float32")
    (path,) = (tmp_path / "convolutions").iterdir()
    text = DAMAGES[damage](path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    found = convolution_choice.measured(network, image, "float32")
    assert set(found) == {STEM} and 0 < found[STEM]["direct"] < 60
    assert json.loads(path.read_text(encoding="utf-8"))["seconds"] == found


@pytest.mark.parametrize("dims", [2, 3])
def test_channels_last_lays_out_weights_of_convolutions_and_images(dims):
    conv = torch.nn.Conv2d(3, 5, 2) if dims == 2 else torch.nn.Conv3d(3, 5, 2)
    layout, parameter = Acceleration(channels_last=True), conv.weight
    layout.apply(TrainingWrapper(torch.nn.Sequential(conv)))
    seen = []
    infer = PrecisionInferer("float32", layout.memory_format(dims))
    infer(torch.rand(2, 3, *(7,) * dims), lambda image: seen.append(image))
    for tensor in (conv.weight, seen[0]):
        assert tensor.is_contiguous(memory_format=layout.memory_format(dims))
        assert not tensor.is_contiguous()
    assert conv.weight is parameter


def test_optimisers_are_fused_unless_the_configuration_chooses():
    network, named = wrapper().network, tiny("table.csv").optimizer
    for options, expected in [({}, True), ({"fused": False}, False), ({"foreach": True}, None)]:
        optimizer = build.build_optimizer(named.model_copy(update=options), network)
        assert optimizer.param_groups[0]["fused"] is expected


def test_a_checkpoint_of_an_optimiser_that_was_not_fused_goes_on_as_it_began():
    network, named = wrapper().network, tiny("table.csv").optimizer
    old = build.build_optimizer(named.model_copy(update={"fused": None}), network)
    network(torch.rand(SHAPE)).sum().backward()
    old.step()
    new = build.build_optimizer(named, network)
    new.load_state_dict(old.state_dict())
    assert new.param_groups[0]["fused"] is None
    new.step()


def test_without_a_compiler_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch, "compile", missing)
    with pytest.raises(ConfigError, match=r"training\.compile: expected a compiler .*No C\+\+"):
        acceleration.check_compiler(Training(compile=True), CPU)


def missing(call):
    raise RuntimeError("No C++ compiler found")


def test_a_spectral_training_resumes_bit_for_bit(blobs, tmp_path, monkeypatch):
    experiment = tiny(
        str(blobs), network={"kernel_sizes": [5]}, training={"convolutions": "spectral"}
    )
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(experiment, base=blobs.parent, out=whole)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        patch.setattr(Display, "epoch", interrupt)
        train(experiment, base=blobs.parent, out=stopped)
    train(experiment, base=blobs.parent, out=stopped, resume=True)
    assert (stopped / FOLD / acceleration.FILE).exists()
    assert_equal(*(read(run / FOLD / "checkpoints/last.pt")["network"] for run in (whole, stopped)))


def interrupt(self, fit, row):
    raise KeyboardInterrupt("Ctrl-C")


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_compiled_training_keeps_the_weights_names_and_the_running_mean(
    blobs, tmp_path, monkeypatch
):
    eager = functools.partial(torch.compile, backend="eager")  # without a C++ compiler
    monkeypatch.setattr(torch, "compile", eager)
    training = {"compile": True, "epochs": 1, "ema": 0.5}
    out = train(tiny(str(blobs), training=training), base=blobs.parent, out=tmp_path / "run")
    content = read(out / FOLD / "checkpoints/last.pt")
    names = build.build_network(tiny("").network, tiny(""), 2).state_dict().keys()
    assert content["network"].keys() == content["raw_network"].keys() == names
