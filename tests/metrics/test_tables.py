import numpy as np
import pytest

from capsmed.metrics.tables import probabilities, read_table, targets


def test_ids_and_labels_stay_as_written(tmp_path):
    (tmp_path / "t.csv").write_text("case_id,label,fold,prob_NA,diameter_mm\n007,NA,2,0.5,\n")
    table = read_table(tmp_path / "t.csv")
    assert table.loc[0, "case_id"] == "007" and table.loc[0, "label"] == "NA"
    assert table["fold"].tolist() == [2] and table["prob_NA"].tolist() == [0.5]
    assert np.isnan(table.loc[0, "diameter_mm"])
    assert targets(table, ("01", "NA")).tolist() == [1]


def test_a_missing_probability_column_is_named(tmp_path):
    (tmp_path / "t.csv").write_text("case_id,label,prob_a\n1,a,0.5\n")
    with pytest.raises(ValueError, match=r"expected columns .*, got no \['prob_b'\]"):
        probabilities(read_table(tmp_path / "t.csv"), ("a", "b"))
