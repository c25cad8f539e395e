import pytest
import torch

from capsmed.losses import LOSSES, CapsuleLoss, MarginLoss, ScoresCrossEntropy

LENGTHS = torch.tensor([[0.7, 0.4, 0.05], [0.95, 0.2, 0.1]])
TARGET = torch.tensor([0, 1])
#: by hand: (0.9-0.7)^2 + (0.4-0.1)^2 / 2, and (0.9-0.2)^2 + (0.95-0.1)^2 / 2
MARGINS = torch.tensor([0.04 + 0.045, 0.49 + 0.36125])


def test_margin_is_squared_summed_over_classes_and_averaged_over_the_batch():
    torch.testing.assert_close(MarginLoss()(LENGTHS, TARGET), MARGINS.mean())


@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", MARGINS.mean()), ("sum", MARGINS.sum()), ("none", MARGINS)]
)
def test_reduction_follows_monai(reduction, expected):
    torch.testing.assert_close(MarginLoss(reduction)(LENGTHS, TARGET), expected)
    torch.testing.assert_close(CapsuleLoss(reduction=reduction)(LENGTHS, TARGET), expected)


def test_the_released_weighting_halves_and_averages_over_classes():
    released = MarginLoss("none", weighting="released")(LENGTHS, TARGET)
    torch.testing.assert_close(released, MARGINS / 6)


def test_margins_and_weight_can_be_changed():
    loss = MarginLoss(m_plus=1.0, m_minus=0.0, down_weight=2.0)
    expected = torch.tensor(0.5**2 + 2 * 0.1**2)
    torch.testing.assert_close(loss(torch.tensor([[0.1, 0.5]]), torch.tensor([1])), expected)


@pytest.mark.parametrize(
    "target",
    [TARGET, TARGET[:, None], TARGET.float(), torch.eye(3)[TARGET], torch.eye(3).int()[:2]],
)
def test_targets_may_be_indices_or_rows(target):
    torch.testing.assert_close(MarginLoss()(LENGTHS, target), MARGINS.mean())


def test_several_classes_may_be_true():
    loss = MarginLoss()(torch.tensor([[0.8, 0.8, 0.3]]), torch.tensor([[1, 1, 0]]))
    torch.testing.assert_close(loss, torch.tensor(0.01 + 0.01 + 0.02))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (torch.tensor([0, 3]), "target: expected class indices 0 to 2, got 0 to 3"),
        (torch.tensor([-1, 0]), "target: expected class indices 0 to 2, got -1 to 0"),
        (torch.zeros(2, 5), r"expected \[batch\], \[batch, 1\] or \[batch, 3\], got \[2, 5\]"),
    ],
)
def test_a_wrong_target_is_refused(target, message):
    with pytest.raises(ValueError, match=message):
        MarginLoss()(LENGTHS, target)


def reconstruction_output(error: float) -> dict[str, torch.Tensor]:
    image = torch.rand(2, 1, 28, 28)
    return {"scores": LENGTHS, "image": image, "reconstruction": image + error}


def test_reconstruction_is_the_sum_of_squares_of_each_sample():
    loss = CapsuleLoss()(reconstruction_output(0.5), TARGET)
    # 0.392 times the mean square at 784 pixels
    torch.testing.assert_close(loss, MARGINS.mean() + 0.392 * 0.25)


def test_released_weighting_leaves_the_reconstruction_and_so_weighs_it_six_times_more():
    loss = CapsuleLoss(weighting="released")(reconstruction_output(0.5), TARGET)
    torch.testing.assert_close(loss, MARGINS.mean() / 6 + 0.392 * 0.25)


def test_weight_of_the_reconstruction_can_be_changed():
    loss = CapsuleLoss(0.1, reduction="none")(reconstruction_output(0.5), TARGET)
    torch.testing.assert_close(loss, MARGINS + 0.1 * 196)


def test_lengths_in_half_precision_are_reckoned_in_float32():
    loss = MarginLoss()(LENGTHS.bfloat16(), TARGET)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, MARGINS.mean(), atol=1e-2, rtol=0)


@pytest.mark.parametrize("target", [TARGET, TARGET[:, None], torch.eye(3)[TARGET]])
@pytest.mark.parametrize("output", [LENGTHS, {"scores": LENGTHS}])
def test_cross_entropy_takes_scores_bare_or_in_the_wrappers_output(target, output):
    expected = -LENGTHS.log_softmax(1)[[0, 1], TARGET].mean()
    torch.testing.assert_close(ScoresCrossEntropy()(output, target), expected)


def test_cross_entropy_smooths_labels():
    smooth = ScoresCrossEntropy(label_smoothing=0.3, reduction="none")(LENGTHS, TARGET)
    rows = 0.7 * torch.eye(3)[TARGET] + 0.1
    torch.testing.assert_close(smooth, -(rows * LENGTHS.log_softmax(1)).sum(1))


@pytest.mark.parametrize("name", ["capsule", "margin", "cross_entropy"])
def test_losses_are_built_by_name_and_take_what_the_wrapper_gives(name):
    loss = LOSSES[name]()(reconstruction_output(0.1), TARGET)
    assert loss.ndim == 0 and loss > 0


@pytest.mark.parametrize("name", ["capsule", "margin", "cross_entropy"])
def test_an_unknown_reduction_is_refused(name):
    with pytest.raises(ValueError, match="reduction: expected one of .* got 'average'"):
        LOSSES[name](reduction="average")


def test_an_unknown_weighting_is_refused():
    with pytest.raises(ValueError, match="weighting: expected one of .* got 'code'"):
        CapsuleLoss(weighting="code")


def test_the_margin_loss_follows_lengths_to_a_device_it_was_not_moved_to():
    lengths = torch.empty(3, 5, device="meta", requires_grad=True)
    loss = MarginLoss(focal=0.5)(lengths, torch.zeros(3, 5, device="meta"))
    assert loss.device.type == "meta"
