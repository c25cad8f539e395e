import numpy as np
import pytest

from capsmed.data.sampling import EpochSampler

TARGETS = np.array([0] * 13 + [1] * 4)


def indices(sampler, epoch=0):
    sampler.epoch = epoch
    return [index for _, index in sampler]


def test_natural_order_gives_every_case_once_and_carries_the_epoch():
    sampler = EpochSampler(TARGETS, (0, 1))
    sampler.epoch = 3
    keys = list(sampler)
    assert sorted(index for _, index in keys) == list(range(17))
    assert {epoch for epoch, _ in keys} == {3} and len(sampler) == 17


def test_the_order_depends_on_key_and_epoch_alone():
    first, again = EpochSampler(TARGETS, (0, 1)), EpochSampler(TARGETS, (0, 1))
    indices(again, epoch=5)
    assert indices(first, 2) == indices(again, 2) != indices(first, 3)
    assert indices(first, 2) != indices(EpochSampler(TARGETS, (0, 2)), 2)


def test_balanced_classes_come_equally_often_and_each_case_about_as_often_as_its_like():
    drawn = indices(EpochSampler(TARGETS, (0,), "balanced"))
    counts = np.bincount(drawn, minlength=17)
    assert len(drawn) == 18 and counts[:13].sum() == counts[13:].sum() == 9
    assert set(counts[13:]) == {2, 3} and counts[:13].max() == 1


def test_large_classes_take_turns_from_epoch_to_epoch():
    sampler = EpochSampler(TARGETS, (0,), "balanced")
    seen = {index for epoch in range(6) for index in indices(sampler, epoch)}
    assert seen == set(range(17))


@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_ranks_share_one_permutation_in_equal_parts(sampling):
    alone = indices(EpochSampler(TARGETS, (0,), sampling))
    parts = [indices(EpochSampler(TARGETS, (0,), sampling, rank, 2)) for rank in (0, 1)]
    joined = [index for pair in zip(*parts, strict=True) for index in pair]
    assert joined[: len(alone)] == alone and joined[len(alone) :] == alone[: len(alone) % 2]


def test_a_rank_outside_the_world_is_refused():
    with pytest.raises(ValueError, match="rank: expected 0 to 1, got 2"):
        EpochSampler(TARGETS, (0,), rank=2, world=2)


def test_an_empty_part_is_refused():
    with pytest.raises(ValueError, match=r"targets: expected \[n\], got shape \(0,\)"):
        EpochSampler([], (0,))


@pytest.mark.parametrize(("batch_size", "drawn"), [(4, 18), (5, 17), (16, 18), (None, 17)])
def test_no_step_is_of_one_case_alone_where_that_is_asked(batch_size, drawn):
    sampler = EpochSampler(TARGETS, (0,), batch_size=batch_size)
    found = indices(sampler)
    assert len(found) == len(sampler) == drawn
    assert set(found) == set(range(17)) and found[17:] == found[: drawn - 17]
