import io
import json

import pytest
from rich.console import Console

from capsmed.report import console_table


@pytest.fixture
def printed(make_run):
    def print_run(**options):
        metrics = json.loads((make_run(size=(8, 8), **options) / "metrics.json").read_text())
        console = Console(width=110, file=io.StringIO())
        console.print(console_table(metrics))
        return console.file.getvalue()

    return print_run


def test_the_network_stands_beside_its_baselines(printed):
    text = printed(head=True)
    assert "54 patients, positive class 'malignant', 95% intervals" in text
    assert all(name in text for name in ("capsnet", "size only", "ordinary head"))
    assert "Research use only" in text


def test_the_note_is_printed_with_the_auc(printed):
    assert "synthetic pixels" in printed(note="synthetic pixels")


def test_every_seed_has_its_line_where_there_are_several(printed):
    lines = printed(seeds=(3, 8)).partition("each run")[2].splitlines()
    assert [line.split("│")[2].strip() for line in lines if line.count("│") == 5] == ["3", "8"]


def test_one_run_has_no_table_of_runs(printed):
    assert "each run" not in printed()


def test_more_classes_are_summed_up_by_their_error(printed):
    text = printed(classes=("a", "b", "c"), patients=False, diameters=False, folds=1)
    assert "error" in text and "AUC, one-vs-rest mean" in text and "sensitivity" not in text
