"""What `capsmed inspect` measures, checked against numbers made by hand."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from capsmed.cli import main
from capsmed.config import Component
from capsmed.engines.fits import Fit
from capsmed.engines.inside.health import Measured, Variant, entropy, measure, variants
from capsmed.engines.inside.look import inspect_run
from capsmed.engines.inside.perturb import DELTAS, perturbed
from capsmed.engines.inside.pictures import choose_moved, choose_shown, coupling_maps, draw_cases
from capsmed.engines.inside.placement import place
from capsmed.engines.inside.probe import passes, replaced, shared_over, uniform, watched
from capsmed.engines.inside.summary import pooled
from capsmed.engines.train import train
from capsmed.errors import ConfigError, DataError
from capsmed.networks import CapsNet, probabilities
from capsmed.networks.layers.capsule_conv import CapsuleConv
from capsmed.networks.layers.squash import squash
from capsmed.networks.layers.votes import DenseVotes
from capsmed.networks.routing import BaseRouting, Routing
from tests.engines.blobs import tiny, write_blobs


def small_net(routing="dynamic", decoder="dense", classes=3):
    """A network of 2 types x 3 x 3 lower capsules whose classes differ."""
    return CapsNet(
        2, 1, classes, (9, 9), [4], [3], primary_capsules=2, primary_dim=4, primary_kernel=3,
        class_dim=4, routing=routing, decoder=decoder, decoder_widths=[8], init_scale=0.5,
    ).eval()  # fmt: skip


@pytest.fixture
def cases():
    return torch.rand(11, 1, 9, 9), torch.arange(11) % 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    write_blobs(folder)
    train(tiny("cohort.csv"), base=folder, out=folder / "run")
    return folder


@pytest.fixture(scope="module")
def health(folder):
    return inspect_run(folder / "run", cases=6, device="cpu")


def measured(network, cases):
    images, target = cases
    return measure(network, [(images[:6], target[:6]), (images[6:], target[6:])], lambda n: None)


def votes_by_hand(network, images):
    """The votes [batch, in, out, dim], formed one and all."""
    lower = network.primary(network.encoder(images))
    return torch.einsum("bid,jedi->bije", lower, network.classes.weight).detach()


def scores_by_hand(votes, couplings):
    """Probabilities of squashed, weighted sums of votes [batch, in, out, dim]."""
    poses = squash(torch.einsum("bji,bije->bje", couplings, votes))
    return poses, probabilities(poses.norm(dim=2).double(), "lengths").numpy()


def test_off_sums_every_vote_once_and_uniform_divides_by_the_classes(cases):
    network = small_net()
    found, votes = measured(network, cases).tests, votes_by_hand(network, cases[0])
    ones = torch.ones(11, 3, votes.shape[1])
    for name, couplings in (("off", ones), ("uniform", ones / 3), ("1 pass", ones / 3)):
        assert found[name] == pytest.approx(scores_by_hand(votes, couplings)[1], abs=1e-5)
    assert not np.allclose(found["off"], found["uniform"], atol=1e-2)


def test_passes_at_test_time_are_those_of_the_paper(cases):
    network = small_net(routing=("dynamic", {"iterations": 2}))
    votes, logits = votes_by_hand(network, cases[0]), torch.zeros(())
    found = measured(network, cases)
    for number in (1, 2, 3):
        couplings = logits.expand(11, 3, votes.shape[1]).softmax(1)
        poses, chance = scores_by_hand(votes, couplings)
        name = "1 pass" if number == 1 else f"{number} passes"
        assert found.tests[name] == pytest.approx(chance, abs=1e-5)
        agreement = torch.einsum("bije,bje->bji", votes, poses)
        if number < 3:
            expected = (couplings * agreement).sum((1, 2)).numpy()
            assert found.agreement[:, number - 1] == pytest.approx(expected, abs=1e-4)
        logits = logits + agreement


def test_a_network_is_tested_as_it_was_trained_too(cases):
    rows = {row.name: row.trained for row in variants(small_net(("dynamic", {"iterations": 2})))}
    assert rows == {
        "off": False, "uniform": False, "1 pass": False, "2 passes": True, "3 passes": False
    }  # fmt: skip


def test_passes_do_not_apply_where_nothing_is_iterated(cases):
    rows = variants(small_net("uniform"))
    assert [row.name for row in rows if not row.applies] == ["1 pass", "3 passes"]
    assert set(measured(small_net("uniform"), cases).tests) == {"off", "uniform", "as trained"}


@pytest.mark.parametrize("name", ["em", "variational_bayes", "self_routing"])
def test_off_does_not_apply_to_weighted_means_of_votes(name, cases):
    off, *others = variants(small_net(name))
    assert off.name == "off" and off.reason.startswith("couplings are normalised over the lower")
    found = measured(small_net(name), cases).tests
    assert "off" not in found and "uniform" in found


@pytest.mark.parametrize(("name", "applies"), [("self_routing", False), ("dynamic", True)])
def test_a_routing_that_leaves_all_classes_equal_has_no_accuracy(name, applies, cases):
    network = small_net(name)
    found, rows = measured(network, cases), variants(network)
    tests = pooled({Fit("capsnet", 0, 0, 0, Path()): found}, rows, ("a", "b", "c"), "c")["tests"]
    uniform = next(row for row in tests if row["routing"] == "uniform")
    assert uniform["applies"] == applies and ("accuracy" in uniform) == applies
    assert applies or uniform["reason"].startswith("all classes of a case come out equal")


def test_uniform_couplings_of_a_map_are_shared_among_all_windows():
    layer = CapsuleConv(2, 1, 2, 4, 4, kernel_size=3, padding=0, competition="map")
    with watched(layer) as calls:
        layer(torch.rand(1, 25, 4), grid=(5, 5))
    couplings = uniform(calls[0].votes)
    corner, middle = couplings[0, 0, 0], couplings[4, 0, 4]
    assert corner.item() == pytest.approx(1 / 2) and middle.item() == pytest.approx(1 / 18)


@pytest.mark.parametrize("name", ["em", "variational_bayes"])
def test_a_capsule_that_answers_to_nothing_is_dead_where_input_changes_nothing(name, cases):
    network = small_net(name)
    network.primary.requires_grad_(False).conv.weight.zero_()
    network.primary.conv.bias.zero_()
    found = measured(network, cases)
    assert found.silent == pytest.approx([1 / (1 + math.exp(2))] * 3)
    assert found.activations.min() > 0.1 and found.dead_classes == [0, 1, 2]


@pytest.mark.parametrize("name", ["dynamic", "uniform", "self_attention", "self_routing"])
def test_most_routings_answer_nothing_to_no_input(name, cases):
    assert measured(small_net(name), cases).silent == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_network_is_left_as_it_was(cases):
    network = small_net()
    before = network(cases[0])
    measured(network, cases)
    with pytest.raises(RuntimeError, match="stop"), watched(network), passes(network, 7):
        raise RuntimeError("stop")
    assert network.classes.routing.iterations == 3
    assert not network.classes.routing._forward_hooks
    assert torch.equal(network(cases[0]), before)


def test_entropy_is_one_for_equal_shares_and_zero_for_a_single_one():
    equal, single = torch.full((1, 4, 5), 0.25), torch.eye(4)[None]
    assert entropy(equal).item() == pytest.approx(1)
    assert entropy(single).item() == pytest.approx(0)
    quarters = torch.tensor([[[0.25], [0.75]]])
    bits = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert entropy(quarters).item() == pytest.approx(bits)


def test_entropy_follows_the_axis_that_is_shared():
    over_inputs = torch.full((2, 3, 8), 1 / 8)
    assert shared_over(over_inputs) == "in"
    assert entropy(over_inputs).tolist() == pytest.approx([1, 1])
    weights = torch.ones(2, 3, 8)
    assert shared_over(weights) is None and entropy(weights).isnan().all()


def test_a_map_weights_the_types_of_a_place_by_their_activation():
    couplings = torch.tensor([[[0.2, 0.5, 0.8, 0.5]]])  # types a, b at two places
    lower = torch.tensor([[[3.0, 0.0], [1.0, 0.0]]])
    found = coupling_maps(couplings, lower)
    assert found.flatten().tolist() == pytest.approx([(3 * 0.2 + 0.8) / 4, 0.5])


class Known(BaseRouting):
    """Everything goes to the class whose number is the place's, the rest is shared out."""

    normalised_over = "out"
    reference = "none"

    def couplings(self, votes):
        places = torch.arange(self.in_capsules) % 9
        return torch.nn.functional.one_hot(places % 3, 3).T.float().expand(len(votes.poses), 3, -1)

    def settle(self, votes, couplings):
        poses = squash(votes.mix(couplings))
        return poses, poses.norm(dim=2)


def test_the_map_of_a_routing_with_known_couplings_is_known(cases):
    drawn = draw_cases(small_net(Known), *cases)
    maps = drawn["couplings"]
    assert maps.shape == (11, 3, 3, 3) and drawn["equal_share"] == pytest.approx(1 / 3)
    assert np.allclose(maps[:, 1], [[0, 1, 0]] * 3)


@pytest.mark.parametrize(
    ("options", "first", "step"),
    [
        ({"channels": [4], "kernel_sizes": [9], "primary_kernel": 9}, 8, 2),
        ({"channels": [4], "kernel_sizes": [3], "padding": "same", "primary_kernel": 5}, 2, 2),
    ],
)
def test_a_place_is_where_the_middle_of_its_field_lies(options, first, step):
    network = CapsNet(2, 1, 2, (28, 28), primary_capsules=2, decoder=None, **options).eval()
    found = place(network, torch.rand(4, 1, 28, 28))
    assert found.first == (first, first) and found.step == (step, step)


def test_moving_a_component_is_decoding_the_moved_capsule():
    network, poses = small_net(), torch.rand(3, 4)
    found = perturbed(network, poses, 2)
    assert found.shape == (4, 11, 1, 9, 9)
    moved = poses.clone()
    moved[2, 1] += DELTAS[8]
    mask = torch.tensor([[0.0, 0.0, 1.0]])
    assert torch.allclose(found[1, 8], network.decoder(moved[None], mask)[0], atol=1e-6)


def test_wrong_cases_take_at_most_half_of_the_places():
    target, sure = np.array([0, 1, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6, 0.95, 0.55])
    chance = np.stack([1 - sure, sure], 1)  # always class 1
    assert choose_shown(target, chance, 4) == [1, 3, 4, 0]
    assert choose_shown(target, chance, 20) == [1, 3, 5, 4, 0, 2]


def test_a_network_without_decoder_has_maps_but_no_reconstruction(cases):
    drawn = draw_cases(small_net(decoder=None), *cases)
    assert "couplings" in drawn and "from_true" not in drawn


@pytest.mark.parametrize("name", [name.lower() for name in Routing.names])
def test_every_routing_can_be_switched_off_and_made_uniform(name, cases):
    network = small_net(name)
    with replaced(network, lambda votes: None):
        scores = network(cases[0])
    found = measured(network, cases)
    expected = probabilities(scores.double(), "lengths").detach().numpy()
    assert found.tests["uniform"] == pytest.approx(expected)
    assert all(np.isfinite(chance).all() for chance in found.tests.values())


def test_a_routing_that_is_not_iterated_has_one_row_whatever_its_passes(cases):
    assert measured(small_net("self_attention"), cases).entropy.shape == (11, 1)


def test_a_single_location_has_no_map(cases):
    network = CapsNet(2, 1, 3, (9, 9), [4], [3], primary_kernel=7, decoder=None).eval()
    assert network.grid == (1, 1) and "couplings" not in draw_cases(network, *cases)


def test_capsules_without_locations_have_no_map(cases):
    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.routing = Routing["dynamic"](81, 3, 2, 4)

        def capsules(self, image):
            return self.routing(DenseVotes(image.flatten(1)[..., None, None].expand(-1, -1, 3, 4)))

    assert "couplings" not in draw_cases(Flat(), *cases)


def test_the_run_as_trained_gives_the_predictions_it_has_stored(folder, health):
    stored = pd.read_csv(folder / "run/predictions.csv").query("model == 'capsnet'")
    right = (stored["prob_small"] >= 0.5) == (stored["label"] == "small")
    trained = next(row for row in health["tests"] if row["trained"])
    assert trained["accuracy"] == pytest.approx(right.mean()) and trained["changed"] == 0
    assert health["cases"] == health["tested"] == 24


@pytest.fixture
def one():
    """Three cases of two classes, written down."""
    return Measured(
        target=np.array([0, 0, 1]),
        activations=np.array([[0.9, 0.05], [0.7, 0.01], [0.4, 0.08]]),
        silent=np.zeros(2),
        lower=np.array([0.05, 0.3]),
        entropy=np.array([[1.0, 0.8], [1.0, 0.6], [1.0, 0.7]]),
        agreement=np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 3.0]]),
        tests={"uniform": np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])},
    )


def test_activity_is_the_mean_over_the_cases_of_a_class(one):
    rows = [Variant("uniform", trained=True)]
    found = pooled({Fit("capsnet", 0, 0, 0, Path()): one}, rows, ("a", "b"), "b")
    assert found["activity"] == [pytest.approx([0.8, 0.03]), pytest.approx([0.4, 0.08])]
    assert found["networks"][0]["dead_types"] == [0]
    assert found["networks"][0]["dead_classes"] == ["b"]
    assert found["passes"][1]["entropy"] == pytest.approx(0.7)
    assert found["passes"][1]["agreement"] == 3 and found["passes"][1]["gained"] == 1
    assert found["tests"][0]["accuracy"] == pytest.approx(1 / 3)
    assert found["tests"][0]["auc"] == 0.5


def test_inspecting_again_replaces_what_was_there(folder, health):
    there = folder / "run/inspect"
    first = (there / "health.json").read_bytes()
    (there / "health.json").write_text("damaged")
    inspect_run(folder / "run", cases=6, device="cpu")
    assert (there / "health.json").read_bytes() == first
    names = {path.name for path in there.iterdir()}
    assert names == {"health.json", "cases.npz", "perturbed.npz"}
    assert json.loads(first)["schema_version"] == 1


def test_no_patient_is_named_in_what_is_written(folder, health):
    content = [path.read_bytes() for path in (folder / "run/inspect").iterdir()]
    with np.load(folder / "run/inspect/cases.npz") as drawn:
        assert drawn["case_id"].tolist() == health["shown"]
    assert not any(b"patient-" in text or str(folder).encode() in text for text in content)


def test_the_command_prints_what_it_found_and_where(folder):
    done = CliRunner().invoke(main, ["inspect", str(folder / "run"), "--device", "cpu"])
    assert done.exit_code == 0 and "Measured on 24 test cases, each by the network" in done.output
    assert f"numbers and arrays: {folder / 'run' / 'inspect'}" in done.output
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "Inside the capsules" in page


def test_few_cases_are_measured_where_few_are_asked_for(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    found = inspect_run(tmp_path / "run", measured=6, cases=2, fold=1, device="cpu")
    assert [one["cases"] for one in found["networks"]] == [3, 3]
    assert len(found["shown"]) == 2 and found["fold"] == 1


def test_a_network_without_capsules_is_refused(folder, tmp_path):
    plain = {
        "network": Component(name="conv_net", channels=[4], kernel_sizes=[3]),
        "loss": Component(name="cross_entropy"),
    }
    experiment = tiny("cohort.csv", training={"epochs": 1}).model_copy(update=plain)
    run = train(experiment, base=folder, out=tmp_path / "run")
    with pytest.raises(ConfigError, match="network: expected a capsule network, got conv_net; "):
        inspect_run(run, device="cpu")


@pytest.mark.parametrize("option", ["fold", "seed"])
def test_a_fold_or_seed_that_the_run_has_not_is_named(folder, option):
    with pytest.raises(ConfigError, match=rf"--{option}: expected one of .*, got 7"):
        inspect_run(folder / "run", device="cpu", **{option: 7})


def test_a_changed_cohort_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "all")
    table = tmp_path / "all" / "cohort.csv"
    table.write_text(table.read_text().replace("large", "small", 1))
    ids = tmp_path / "all" / "run" / "private" / "ids.csv"
    ids.write_text(ids.read_text().replace(str(folder), str(table.parent)))
    with pytest.raises(DataError, match="expected the labels and images this run was trained with"):
        inspect_run(tmp_path / "all" / "run", device="cpu")


def test_each_class_has_its_capsule_moved_before_any_has_two():
    target, predicted = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 0])
    assert choose_moved(target, predicted) == [0, 4, 1, 2]
    assert choose_moved(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])) == [0, 2, 3]
    assert choose_moved(np.array([1, 1]), np.array([0, 0])) == [0]
