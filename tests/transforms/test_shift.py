import pytest
import torch

from capsmed.transforms.shift import crop


@pytest.mark.parametrize("size", [(3, 2), (3, 2, 5)])
def test_each_image_is_cropped_at_its_own_place(size):
    images = torch.rand(4, 2, *(7, 5, 11)[: len(size)])
    starts = torch.tensor([[0, 0, 0], [4, 3, 6], [1, 2, 3], [4, 3, 6]])[:, : len(size)]
    expected = [
        image[(slice(None), *(slice(a, a + n) for a, n in zip(place, size, strict=True)))]
        for image, place in zip(images, starts.tolist(), strict=True)
    ]
    assert torch.equal(crop(images, starts, size), torch.stack(expected))


def test_the_crop_is_a_copy():
    images = torch.zeros(1, 1, 4, 4)
    crop(images, torch.zeros(1, 2, dtype=torch.int64), (4, 4)).add_(1)
    assert images.max() == 0


def test_a_crop_that_reaches_outside_is_refused():
    with pytest.raises(ValueError, match=r"starts: expected 0 to \[1, 2\], got \[\[2, 0\]\]"):
        crop(torch.rand(1, 1, 4, 5), torch.tensor([[2, 0]]), (3, 3))
