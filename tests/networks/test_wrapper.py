import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor

from capsmed.losses import CapsuleLoss
from capsmed.networks import CapsNet, ConvNet, TrainingWrapper


@pytest.fixture
def network() -> CapsNet:
    options = {"channels": (4,), "kernel_sizes": 3, "primary_capsules": 3, "primary_kernel": 3}
    return CapsNet(2, 1, 3, (10, 13), **options, decoder_widths=(8,))


IMAGE = torch.rand(4, 1, 10, 13, generator=torch.Generator().manual_seed(0))


def one_hot(*classes: int) -> torch.Tensor:
    return torch.eye(3)[list(classes)]


@pytest.mark.parametrize(
    "target", [torch.tensor([2, 0, 1, 1]), torch.tensor([[2], [0], [1], [1]]), one_hot(2, 0, 1, 1)]
)
def test_the_decoder_sees_the_true_class_where_it_is_told(network, target):
    output = TrainingWrapper(network)(IMAGE, target)
    expected = network.decoder(output["poses"], one_hot(2, 0, 1, 1))
    torch.testing.assert_close(output["reconstruction"], expected)
    wrong = network.decoder(output["poses"], one_hot(0, 1, 2, 2))
    assert not torch.allclose(output["reconstruction"], wrong)


def test_the_decoder_sees_the_longest_capsule_otherwise(network):
    output = TrainingWrapper(network)(IMAGE)
    longest = output["poses"].norm(dim=-1).argmax(1)
    expected = network.decoder(output["poses"], torch.eye(3)[longest])
    torch.testing.assert_close(output["reconstruction"], expected)
    torch.testing.assert_close(output["scores"], network(IMAGE))


def test_two_true_classes_are_both_shown_to_the_decoder(network):
    target = torch.tensor([[1.0, 0.0, 1.0]]).expand(4, 3)
    output = TrainingWrapper(network)(IMAGE, target)
    expected = network.decoder(output["poses"], target)
    torch.testing.assert_close(output["reconstruction"], expected)


def test_a_network_without_capsules_or_decoder_gives_what_it_has(network):
    plain = ConvNet(2, 1, 3, (10, 13), channels=(4,), kernel_sizes=3)
    assert TrainingWrapper(plain)(IMAGE).keys() == {"scores", "image"}
    network.decoder = None
    assert TrainingWrapper(network)(IMAGE).keys() == {"scores", "image", "poses"}


def test_every_parameter_gets_a_gradient_through_the_forward(network):
    wrapper, target = TrainingWrapper(network), torch.tensor([0, 1, 2, 0])
    CapsuleLoss()(wrapper(IMAGE, target), target).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in wrapper.parameters())


def test_monai_tensors_become_plain_ones_and_a_batch_of_one_works(network):
    output = TrainingWrapper(network)(MetaTensor(IMAGE[:1]), MetaTensor(torch.tensor([1])))
    assert not any(isinstance(x, MetaTensor) for x in output.values())
    assert output["reconstruction"].shape == (1, 1, 10, 13)


BUNDLE = {
    "network": {
        "_target_": "capsmed.networks.wrapper.TrainingWrapper",
        "network": {
            "_target_": "capsmed.networks.nets.capsnet.CapsNet",
            "spatial_dims": 2,
            "in_channels": 1,
            "num_classes": 3,
            "input_size": [10, 13],
            "channels": [4],
            "kernel_sizes": [3],
            "primary_capsules": 3,
            "primary_kernel": 3,
            "routing": ["dynamic", {"iterations": 2}],
        },
    },
    "trainer": {
        "_target_": "monai.engines.SupervisedTrainer",
        "device": "$torch.device('cpu')",
        "max_epochs": 8,
        "train_data_loader": "@loader",
        "network": "@network",
        "optimizer": "$torch.optim.Adam(@network.parameters(), 0.01)",
        "loss_function": {"_target_": "capsmed.losses.capsule.CapsuleLoss"},
        "prepare_batch": {
            "_target_": "monai.engines.PrepareBatchExtraInput",
            "extra_keys": "label",
        },
    },
}


def test_a_plain_monai_trainer_learns_and_reconstructs_with_it():
    batch = {"image": IMAGE, "label": torch.tensor([0, 1, 2, 0])}
    parser = ConfigParser(BUNDLE | {"imports": ["$import torch"], "loader": [batch]})
    trainer, wrapper = parser.get_parsed_content("trainer"), parser.get_parsed_content("network")
    before = CapsuleLoss(1.0)(wrapper(IMAGE, batch["label"]), batch["label"]).item()
    trainer.run()
    after = CapsuleLoss(1.0)(wrapper(IMAGE, batch["label"]), batch["label"]).item()
    assert after < 0.9 * before
    assert "reconstruction" in trainer.state.output[0]["pred"]
