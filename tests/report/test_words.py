import pytest

from capsmed.report.words import comparison, held_out, held_out_rows, span, who


def entry(value, low, high):
    return {"value": value, "low": low, "high": high, "method": "m"}


def metrics(gap, size=None):
    size = {"auc": entry(0.7, 0.6, 0.8), "n_cases": 50, "n_patients": 50, **(size or {})}
    return {
        "classes": ["a", "b"],
        "model": {"auc": entry(0.9, 0.85, 0.95), "n_cases": 54, "n_patients": 54},
        "baselines": {"size_only": {**size, "auc_difference": gap}},
    }


@pytest.mark.parametrize(
    ("gap", "verdict"),
    [
        (entry(0.2, 0.1, 0.3), "the network ranks better"),
        (entry(-0.2, -0.3, -0.1), "size only ranks better"),
        (entry(0.2, -0.1, 0.5), "these data do not tell the two apart"),
        (
            {**entry(0.2, 0.1, 0.3), "delong": {"low": 0.05, "high": 0.35}},
            "the network ranks better",
        ),
        (
            {**entry(0.2, 0.1, 0.3), "delong": {"low": -0.01, "high": 0.4}},
            "these data do not tell the two apart, as DeLong's interval holds 0",
        ),
        ({**entry(-0.2, -0.3, -0.1), "delong": None}, "size only ranks better"),
    ],
)
def test_the_verdict_follows_the_paired_interval(gap, verdict):
    text = comparison(metrics(gap), "size_only")
    assert text.endswith(f"{span(gap)}; {verdict}.")


def test_it_says_whether_intervals_overlap_and_how_many_could_be_scored():
    text = comparison(metrics(entry(0.2, 0.1, 0.3)), "size_only")
    assert "on the 50 patients it could score; the intervals do not overlap" in text


def test_a_percentage_and_a_missing_value():
    assert span(entry(0.004, 0.0029, 0.0054), percent=True) == "0.40% (0.29–0.54)"
    assert span(entry(None, None, None)) == "–"


def test_patients_are_told_from_cases():
    assert who({"n_cases": 60, "n_patients": 54}) == "60 cases of 54 patients"
    assert who({"n_cases": 10_000, "n_patients": None}) == "10,000 cases (patients unknown)"


def test_more_classes_held_out_are_told_by_error_and_area():
    model = {"auc": entry(0.9, 0.8, 0.95), "error": entry(0.25, 0.1, 0.4), "n_patients": None}
    told = held_out({"classes": ["a", "b", "c"], "model": {**model, "n_cases": 40}})
    assert "error 25.00% (95% interval 10.00–40.00), one-vs-rest AUC 0.900 (95% in" in told
    assert told.endswith(
        "on 40 cases (patients unknown) in no fold, by the mean of the folds' networks."
    )


def test_a_baseline_that_could_score_nobody_held_out_has_a_dash_beside_it():
    own = metrics(entry(0.2, 0.1, 0.3))
    held = {**own, "baselines": {}}
    assert held_out_rows(own, held) == [
        ("AUC", "0.900 (0.850–0.950)", "0.900 (0.850–0.950)"),
        ("size only: AUC", "0.700 (0.600–0.800)", "–"),
    ]
