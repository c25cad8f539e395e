import pytest
import torch

from capsmed.networks import CapsNet


@pytest.fixture
def network() -> CapsNet:
    options = {"channels": (4,), "kernel_sizes": 3, "primary_capsules": 3, "primary_kernel": 3}
    return CapsNet(2, 1, 3, (13, 10), **options, norm="batch").eval()


@pytest.mark.parametrize("grad", [True, False])
def test_torch_export_with_a_dynamic_batch_agrees_at_unseen_sizes(network, grad):
    shapes = ({0: torch.export.Dim("batch")},)
    with torch.set_grad_enabled(grad):
        example = (torch.rand(4, 1, 13, 10),)
        exported = torch.export.export(network, example, dynamic_shapes=shapes).module()
    for batch in (1, 9):
        image = torch.rand(batch, 1, 13, 10)
        torch.testing.assert_close(exported(image), network(image), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_trace_agrees_at_unseen_batch_sizes(network):
    traced = torch.jit.trace(network, torch.rand(4, 1, 13, 10))
    for batch in (1, 9):
        image = torch.rand(batch, 1, 13, 10)
        torch.testing.assert_close(traced(image), network(image), atol=1e-5, rtol=0)
