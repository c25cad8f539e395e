import pytest
import torch

from capsmed.networks import NETWORKS, BaselineCNN, CapsNet, ConvNet, probabilities
from capsmed.networks.blocks.encoder import ConvEncoder

SMALL = {"channels": (6,), "kernel_sizes": 3}
CAPSULES = SMALL | {"primary_capsules": 2, "primary_dim": 4, "primary_kernel": 3, "class_dim": 5}
SIZES = [(2, 1, (11, 14)), (2, 3, (9, 9)), (3, 2, (7, 9, 12))]


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_papers_network_has_8_215_568_parameters_and_6_804_224_without_decoder():
    assert parameters(CapsNet(2, 1, 10, (28, 28))) == 8_215_568
    assert parameters(CapsNet(2, 1, 10, (28, 28), decoder=None)) == 6_804_224


def test_multimnist_has_11_361_808_parameters():
    # the paper's table gives 36x36 pixels; the encoder sees them, the decoder writes them
    assert parameters(CapsNet(2, 1, 10, (36, 36))) == 11_361_808


def test_the_papers_baseline_has_35_4_million_parameters():
    assert parameters(BaselineCNN(2, 1, 10, (28, 28))) == 35_445_522


@pytest.mark.parametrize(("dims", "channels", "size"), SIZES)
@pytest.mark.parametrize("decoder", ["dense", "conv", ["conv", {"widths": [8, 4]}], None])
def test_capsnet_takes_any_size_and_its_decoder_meets_it(dims, channels, size, decoder):
    network = CapsNet(dims, channels, 4, size, **CAPSULES, decoder=decoder)
    image = torch.rand(1, channels, *size)
    poses, activations = network.capsules(image)
    assert poses.shape == (1, 4, 5) and activations.shape == (1, 4)
    torch.testing.assert_close(network(image), activations)
    if decoder:
        assert network.decoder(poses, torch.eye(4)[:1]).shape == image.shape


@pytest.mark.parametrize(("dims", "channels", "size"), SIZES)
@pytest.mark.parametrize("head", ["flatten", "average"])
def test_conv_net_takes_any_size(dims, channels, size, head):
    network = ConvNet(dims, channels, 3, size, **SMALL, head=head, head_dropout=0.5)
    assert network(torch.rand(1, channels, *size)).shape == (1, 3)
    assert network.score_kind == "logits" and network.decoder is None


@pytest.mark.parametrize(("dims", "channels", "size"), SIZES)
def test_baseline_derives_its_sizes(dims, channels, size):
    network = BaselineCNN(dims, channels, 3, size, channels=(4, 4, 2), hidden=(7, 5))
    assert network(torch.rand(1, channels, *size)).shape == (1, 3)


@pytest.mark.parametrize(
    ("name", "options"),
    [("capsnet", CAPSULES), ("conv_net", SMALL), ("baseline_cnn", SMALL | {"hidden": [5]})],
)
def test_networks_are_built_by_name_with_the_same_four_arguments(name, options):
    sizes = {"spatial_dims": 2, "in_channels": 1, "num_classes": 3, "input_size": [16, 16]}
    network = NETWORKS[name](**sizes, **options)
    scores = network(torch.rand(2, 1, 16, 16))
    assert probabilities(scores, network.score_kind).shape == (2, 3)


#: Every stage and capsule option, in lists as YAML gives them.
FROM_YAML = {
    "channels": [4, 6, 8],
    "kernel_sizes": [[3, 3, 1], [3, 3, 3], 3],
    "strides": [1, [2, 2, 1], 1],
    "padding": "same",
    "norm": ["group", {"num_groups": 2}],
    "act": ["leakyrelu", {"negative_slope": 0.2}],
    "dropout": 0.1,
    "pool": [None, 1, [1, 1, 2]],
    "primary_capsules": 2,
    "primary_kernel": 3,
    "primary_padding": "same",
    "primary_norm": "batch",
    "routing": ["dynamic", {"iterations": 2, "bias": True}],
}


def test_stages_take_norm_stride_pooling_dropout_and_lists_as_yaml_gives_them():
    network = CapsNet(3, 1, 2, [16, 14, 9], **FROM_YAML)
    assert network.grid == (4, 4, 2)
    assert network(torch.rand(2, 1, 16, 14, 9)).shape == (2, 2)
    assert network.classes.routing.iterations == 2


def test_same_padding_divides_and_rounds_up():
    encoder = ConvEncoder(2, 1, channels=(4,), kernel_sizes=5, strides=2, padding="same")
    assert encoder.output_size((13, 8)) == (7, 4)
    assert encoder(torch.rand(1, 1, 13, 8)).shape == (1, 4, 7, 4)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((8, 28), r"encoder stage 1 of an image \[8, 28\]: expected .* at least \[9, 9\], got \[8"),
        ((16, 28), r"primary capsules: expected an input of at least \[9, 9\], got \[8, 20\]"),
    ],
)
def test_an_image_smaller_than_the_kernels_is_refused_with_sizes(size, message):
    with pytest.raises(ValueError, match=message):
        CapsNet(2, 1, 10, size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": (1, 2)}, "strides: expected 1 or 3 values .* got 2"),
        ({"kernel_sizes": 4, "padding": "same"}, "padding: expected .* got 'same' with kernel 4"),
        ({"padding": "valid"}, "padding: expected a number, or 'same' .* got 'valid'"),
        ({"channels": ()}, "channels: expected at least one stage, got none"),
        ({"decoder": "deep"}, r"decoder: expected one of \['conv', 'dense'\] or None, got 'deep'"),
        ({"routing": "dynamics"}, "got 'dynamics'; did you mean 'dynamic'"),
        ({"routing": ("dynamic", {"iterations": 0})}, "iterations: expected 1 or more, got 0"),
        ({"routing": ("dynamic", {"gradient": "all"})}, "gradient: expected 'last' or 'full'"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options, message):
    settings = {"channels": (4, 4, 4), "kernel_sizes": 3, "primary_kernel": 3} | options
    with pytest.raises(ValueError, match=message):
        CapsNet(2, 1, 10, (28, 28), **settings)


def test_conv_net_knows_no_capsule_options():
    with pytest.raises(TypeError, match="primary_capsules"):
        ConvNet(2, 1, 10, (28, 28), primary_capsules=8)
    with pytest.raises(ValueError, match="head: expected 'flatten' or 'average', got 'max'"):
        ConvNet(2, 1, 10, (28, 28), head="max")


def test_batch_norm_on_one_value_says_so_instead_of_giving_zeros():
    network = CapsNet(2, 1, 2, (5, 5), **CAPSULES, primary_norm="batch")
    with pytest.raises(ValueError, match="more than 1 value per channel when training"):
        network.train()(torch.rand(1, 1, 5, 5))
    assert network.eval()(torch.rand(1, 1, 5, 5)).shape == (1, 2)


def test_multilabel_is_declared():
    assert CapsNet(2, 1, 3, (14, 14), **CAPSULES, multilabel=True).score_kind == "multilabel"


@pytest.mark.parametrize("kind", ["logits", "lengths"])
def test_probabilities_of_a_row_sum_to_one_whatever_the_batch(kind):
    scores = torch.rand(5, 3)
    together = probabilities(scores, kind)
    torch.testing.assert_close(together.sum(1), torch.ones(5))
    torch.testing.assert_close(together[2:3], probabilities(scores[2:3], kind))


def test_lengths_are_divided_by_their_sum_not_squeezed_by_a_softmax():
    rows = probabilities(torch.tensor([[0.9, 0.1], [0.0, 0.0]]), "lengths")
    torch.testing.assert_close(rows, torch.tensor([[0.9, 0.1], [0.5, 0.5]]))


def test_multilabel_scores_stay_and_unknown_kinds_are_refused():
    scores = torch.rand(2, 3)
    assert probabilities(scores, "multilabel") is scores
    with pytest.raises(ValueError, match="kind: expected one of .* got 'softmax'"):
        probabilities(scores, "softmax")
