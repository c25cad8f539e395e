import numpy as np
import pytest

from capsmed.report.examples import Example, choose, example_plot, examples_of
from capsmed.report.run import read_run


def example(label, chance, case_id="c"):
    return Example(np.zeros((1, 2, 2)), None, case_id, label, np.array([1 - chance, chance]))


def test_the_surest_right_and_wrong_of_each_class_come_first():
    shown = choose([example(1, p) for p in (0.1, 0.4, 0.6, 0.9)] + [example(0, 0.2)], 3)
    assert [(e.label, round(float(e.probability[1]), 1)) for e in shown] == [
        (0, 0.2),
        (1, 0.9),
        (1, 0.1),
    ]


def test_each_stored_case_appears_once(make_run):
    found = examples_of(read_run(make_run(seeds=(0, 1), size=(8, 8))))
    names = [e.case_id for e in found]
    assert len(names) == len(set(names)) == 20


def test_a_run_without_examples_has_no_figure(make_run):
    run = make_run(size=(8, 8))
    for path in run.rglob("examples.npz"):
        path.unlink()
    assert example_plot(read_run(run)) is None


@pytest.mark.parametrize("colours", [1, 3])
def test_a_picture_is_shown_as_it_lies_in_its_file(make_run, colours):
    from capsmed.report.examples import picture

    run = read_run(make_run(size=(8, 8)))
    image = np.zeros((colours, 5, 7))
    image[:, 4, 0] = 1  # last column, first row
    shown = picture(image, run)
    assert shown.shape[:2] == (7, 5) and np.all(shown[0, 4] == 1)


def test_cuts_in_mm_hang_with_the_patients_right_on_the_left(make_run):
    from capsmed.report.examples import _cuts

    volume = np.zeros((1, 5, 7, 9))
    volume[0, 4, 6, 4] = 1  # RAS+: far right, far front, middle height
    axial, coronal, sagittal = _cuts(volume, read_run(make_run()))
    assert axial.shape == (7, 5) and axial[0, 0] == 1
    assert coronal.shape == (9, 5) and sagittal.shape == (9, 7)
