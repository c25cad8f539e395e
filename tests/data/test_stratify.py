import numpy as np

from capsmed.data.stratify import deal, draw, pick


def rng():
    return np.random.default_rng(0)


def test_a_patient_with_many_lesions_does_not_push_the_other_class_out_of_its_fold():
    groups = np.array(["big"] * 4 + ["a", "b", "c", *"defghi"])
    targets = np.array([1] * 7 + [0] * 6)
    folds = deal(groups, targets, 3, rng())
    assert np.bincount(folds[targets == 0]).tolist() == [2, 2, 2]
    assert len(set(folds[:4])) == 1


def test_classes_are_dealt_evenly_when_every_patient_has_one_case():
    targets = np.repeat([0, 1, 2], [50, 20, 11])
    folds = deal(np.arange(81), targets, 5, rng())
    counts = np.array([np.bincount(folds[targets == k], minlength=5) for k in range(3)])
    assert (np.ptp(counts, axis=1) <= 1).all() and np.ptp(counts.sum(0)) <= 1


def test_a_drawn_share_takes_whole_patients_and_at_least_one_of_each_class():
    groups, targets = np.repeat(np.arange(10), 2), np.repeat([0] * 8 + [1] * 2, 2)
    drawn = draw(groups, targets, 0.25, rng())
    assert (drawn[::2] == drawn[1::2]).all()
    assert drawn[:16].sum() == 4 and drawn[16:].sum() == 2


def test_the_only_patient_of_a_class_is_never_drawn():
    drawn = draw(np.arange(5), np.array([0, 0, 0, 0, 1]), 0.9, rng())
    assert drawn.tolist().count(True) == 3 and not drawn[4]


def test_picking_keeps_the_proportions_and_everything_when_there_is_room():
    targets = np.repeat([0, 1], [90, 10])
    assert np.bincount(targets[pick(targets, 20, rng())]).tolist() == [18, 2]
    assert np.bincount(targets[pick(targets, 2, rng())]).tolist() == [1, 1]
    assert pick(targets, 100, rng()).tolist() == list(range(100))
