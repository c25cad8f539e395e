"""Products of matrices that are parts of others are right, and never meet oneDNN's slow kernel."""

import pytest
import torch

from capsmed.networks.layers import products
from capsmed.networks.layers.products import product

WHOLE = torch.arange(13 * 34, dtype=torch.float32).view(13, 34).sin()
VIEWS = {
    "whole": WHOLE[:, :17].contiguous(),
    "transposed": WHOLE[:, :17].t().contiguous().t(),
    "part": WHOLE[:, :17],
    "part of a transposed one": WHOLE.t().contiguous()[:17].t(),
    "every second column": WHOLE[:, ::2],
}


@pytest.mark.parametrize("first", VIEWS)
@pytest.mark.parametrize("second", VIEWS)
def test_any_view_gives_the_product(first, second):
    a, b = VIEWS[first], VIEWS[second]
    expected = a.double() @ b.double().t()
    torch.testing.assert_close(product(a, b.t()), expected.float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        product(a.t(), b), (a.double().t() @ b.double()).float(), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("transposed", [False, True])
def test_onednn_meets_a_second_matrix_without_gaps(name, transposed, monkeypatch):
    if products._ONEDNN is None:
        pytest.skip("this PyTorch has no product of oneDNN")
    met, onednn = [], products._ONEDNN
    monkeypatch.setattr(
        products, "_ONEDNN", lambda a, b, *rest: met.append(b) or onednn(a, b, *rest)
    )
    b = VIEWS[name].t() if transposed else VIEWS[name]
    product(torch.ones(3, len(b)), b)
    assert met[0].is_contiguous() or met[0].t().is_contiguous()
    assert torch.equal(met[0], b.t())


def test_what_lies_without_gaps_is_not_copied():
    for name in ("whole", "transposed"):
        for matrix in (VIEWS[name], VIEWS[name].t()):
            assert products._packed(matrix) is matrix
