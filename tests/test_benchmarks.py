"""The benchmarks run, and their arithmetic is right; how fast things are is not tested."""

import json
import statistics

import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from capsmed.engines.memory import peak_bytes
from capsmed.errors import ConfigError, DataError
from capsmed.networks import TrainingWrapper
from capsmed.networks.layers.spectral_conv import geometry_of, spectral
from capsmed.networks.tuning import use_convolutions
from tests.benchmarks import capsule_layer, docs, growth, process, suite, table, training_step
from tests.benchmarks.__main__ import main
from tests.benchmarks.capsule_layer import LAST, PAIRS, TEXTBOOK
from tests.benchmarks.contest import Bar, Contestant, Timing, contest, listener
from tests.benchmarks.flop import done_flop, fourier_flop, training_flop
from tests.benchmarks.peaks import fresh_peak
from tests.benchmarks.sgemm import MKL
from tests.benchmarks.standard import row

PRIMES = (23, 3, 2, 7)
#: Operations of oneDNN's product, which torch's counter does not know.
ONEDNN = (
    {torch.ops.mkldnn._linear_pointwise: lambda a, b, *more, **options: 2 * a[0] * a[1] * b[0]}
    if hasattr(torch.ops.mkldnn, "_linear_pointwise")
    else None
)


@pytest.mark.parametrize(("theirs", "ours"), PAIRS)
def test_the_others_compute_the_same_poses_and_gradients(theirs: str, ours: str) -> None:
    assert capsule_layer.difference(theirs, ours, PRIMES, 5) < 1e-5


def test_the_two_kinds_of_gradient_are_told_apart() -> None:
    assert capsule_layer.difference(TEXTBOOK, LAST, PRIMES, 5) > 1e-3


@pytest.mark.parametrize("way", ["direct", "spectral"])
def test_the_textbook_network_computes_the_same_loss_and_gradients(way) -> None:
    torch.manual_seed(0)
    built = training_step.ours(fast=True, tuned=False)
    built.choice = {"primary.conv": way}
    use_convolutions(built.wrapper.network, built.choice)
    found = training_step.differences(built, fast=True)
    found |= training_step.full_differences(built, fast=True)
    assert len(found) == 3 and max(found.values()) < 1e-5


def test_the_textbook_with_another_gradient_is_told_apart() -> None:
    torch.manual_seed(0)
    built = training_step.ours(fast=True, tuned=False)
    assert training_step.differences(built, fast=True, last=False)["gradient"] > 1e-5


def test_contestants_take_turns() -> None:
    told: list[str] = []
    pair = [Contestant(name, lambda name=name: lambda: told.append(name)) for name in "AB"]
    timings = contest(pair, rounds=7, warmup=1)
    rounds = {"".join(told[n : n + 2]) for n in range(0, 16, 2)}
    assert rounds == {"AB", "BA"}
    assert [(t.name, len(t.seconds)) for t in timings] == [("A", 7), ("B", 7)]


def test_ratios_come_from_medians() -> None:
    timing = Timing("A", (9.0, 1.0, 2.0))
    found = row(Contestant("A", lambda: int, flop=8e9), timing, ours_s=0.5, sgemm=16.0)
    assert (timing.median_s, timing.minimum_s) == (2.0, 1.0)
    assert (found["ratio"], found["gflops"], found["share"]) == (4.0, 4.0, 0.25)


@pytest.mark.parametrize("most", [False, True])
def test_a_bar_is_met_on_its_right_side_only(most: bool) -> None:
    assert Bar("x", 2.0, 1.0, most).met is not most
    assert Bar("x", 1.0, 2.0, most).met is most
    assert not Bar("x", float("nan"), 1.0, most).met


def test_an_exponent_is_fitted_where_the_time_is_ten_times_the_empty() -> None:
    points = [(1, 5.0), *((n, 3 * n**1.25) for n in (16, 64, 256))]
    found = growth.exponent(points, empty=1.0)
    assert found is not None
    assert found["exponent"] == pytest.approx(1.25)
    assert found["span"] == 16
    assert growth.exponent(points, empty=200.0) is None


def test_known_arrays_are_left_out_of_a_peak_once_each() -> None:
    taken = [100, 7, 7, -7, 40, -100]
    assert growth.peak(taken) == 147
    assert growth.peak(taken, known=(7,)) == 140
    assert growth.peak([7, 7, 7], known=(7, 7)) == 7


def test_the_profiled_peak_is_that_of_the_tensors() -> None:
    array = torch.zeros(1000, 1000)
    assert peak_bytes(lambda: (array + 1) + (array + 2)) == 12_000_000


def test_the_peak_of_a_new_process_holds_what_a_step_writes() -> None:
    found = fresh_peak("tests.benchmarks.sgemm:products", MKL)
    if found is None:
        pytest.skip("this system tells no process its peak memory")
    assert 16e6 < found < 200e6


@pytest.mark.parametrize("name", suite.NAMES)
def test_each_benchmark_runs_and_keeps_every_time(name, tmp_path) -> None:
    done = CliRunner().invoke(main, [name, "--fast", "--rounds", "2", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert {p.name for p in tmp_path.iterdir()} == {"results.json", "table.md", "ratios.svg"}
    kept = json.loads((tmp_path / "results.json").read_text())["benchmarks"][name]
    for found in kept.get("rows", []):
        assert statistics.median(found["seconds"]) == found["median_s"]
        assert len(found["seconds"]) == 2
    assert kept["title"] in (tmp_path / "table.md").read_text()
    assert kept["machine"]["threads"] >= 1


def test_a_benchmark_runs_in_a_process_of_its_own() -> None:
    told: list[str] = []
    token = listener.set(told.append)
    found = process.call(
        "tests.benchmarks.standard:medians", "tests.benchmarks.sgemm:products", 1, True
    )
    listener.reset(token)
    assert found[MKL] > 0
    assert f"round 1 of 1: {MKL}" in told


def test_what_fails_in_another_process_is_told() -> None:
    with pytest.raises(RuntimeError, match="no_such_function"):
        process.call("tests.benchmarks.contest:no_such_function")


def test_long_rounds_are_fewer_unless_told() -> None:
    assert suite.rounds_of("capsule_layer") == suite.ROUNDS
    assert suite.rounds_of("growth") < suite.ROUNDS


def test_a_wrong_name_is_answered_with_the_names() -> None:
    done = CliRunner().invoke(main, ["capsule_layers"])
    assert done.exit_code == 1
    expected = f"expected one of {', '.join(suite.NAMES)}, got capsule_layers"
    assert expected in done.output and "Traceback" not in done.output


def test_names_run_in_the_order_of_the_suite() -> None:
    assert suite.chosen(["growth", "capsule_layer"]) == ("capsule_layer", "growth")
    assert suite.chosen([]) == suite.NAMES
    with pytest.raises(ConfigError, match="got a, b"):
        suite.chosen(["a", "growth", "b"])


def test_other_results_of_the_folder_stay(tmp_path) -> None:
    suite.keep(tmp_path, "growth", {"a": 1})
    suite.keep(tmp_path, "capsule_layer", {"a": 2})
    assert suite.kept(tmp_path) == {"capsule_layer": {"a": 2}, "growth": {"a": 1}}


@pytest.mark.parametrize("text", ["", "[]", '{"schema_version": 0}'])
def test_a_file_of_something_else_is_not_overwritten(text, tmp_path) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match="give another --out"):
        suite.keep(tmp_path, "growth", {})
    assert (tmp_path / "results.json").read_text() == text


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(main, ["growth", "--out", str(tmp_path / "file" / "results")])
    assert done.exit_code == 1 and "cannot be written" in done.output
    assert "growth:" not in done.output


def test_a_table_leaves_out_what_nobody_measured() -> None:
    found = row(Contestant("A", lambda: int), Timing("A", (0.5,)), ours_s=0.25, sgemm=1.0)
    assert table.row_table([found]).splitlines() == [
        "|  | median | fastest | times ours |",
        "|---|---:|---:|---:|",
        "| A | 500 ms | 500 ms | 2.00 |",
    ]


def test_the_page_on_speed_has_a_place_for_each_benchmark() -> None:
    text = docs.PAGE.read_text(encoding="utf-8")
    for name in suite.NAMES:
        assert "\nnew\n<!-- end -->" in docs.replaced(text, name, "new")
    assert docs.replaced("<!-- benchmark a -->\nold\n<!-- end -->x", "a", r"\1") == (
        "<!-- benchmark a -->\n\\1\n<!-- end -->x"
    )


def test_tiny_sizes_never_reach_the_page() -> None:
    with pytest.raises(DataError, match="those of --fast"):
        docs.write({"growth": {"fast": True}})


def test_nominal_operations_are_those_of_the_layers() -> None:
    # per sample: 20x20x256x81 for the first convolution, without a gradient for the image
    first, second = 400 * 256 * 81, 36 * 256 * 256 * 81
    rest = 1152 * 10 * 8 * 16 + 160 * 512 + 512 * 1024 + 1024 * 784
    wanted = training_step.BATCH * 2 * (2 * first + 3 * (second + rest))
    assert training_step.nominal_flop(fast=False) == wanted


def test_weights_of_an_unknown_kind_are_not_left_out_in_silence() -> None:
    wrapper = TrainingWrapper(torch.nn.Sequential(torch.nn.ConvTranspose2d(1, 1, 3)))
    with pytest.raises(ValueError, match=r"network\.0: expected convolutions"):
        training_flop(wrapper, torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("to_image", [False, True])
def test_operations_of_fourier_coefficients_are_those_of_the_products(to_image) -> None:
    conv = spectral(torch.nn.Conv2d(3, 7, 5, stride=2))
    image = torch.rand(2, 3, 13, 15, requires_grad=to_image)
    counted = FlopCounterMode(display=False, custom_mapping=ONEDNN)
    with counted:
        conv(image).sum().backward()
    found = fourier_flop(geometry_of(conv, image), 2, 3, 7, to_image=to_image)
    assert found == counted.get_total_flops()


def test_a_direct_network_really_does_the_nominal_operations() -> None:
    built = training_step.ours(fast=True, tuned=False)
    network = built.wrapper.network
    assert done_flop(network, built.image, 5.0) == 5.0
    use_convolutions(network, {"primary.conv": "spectral"})
    assert done_flop(network, built.image, 5.0) != 5.0


def test_the_layer_counts_votes_once_forward_and_twice_backward() -> None:
    assert capsule_layer.flop((2, 3, 5, 7), 11) == 3 * 2 * 11 * 2 * 3 * 5 * 7
