import numpy as np

from capsmed.engines.run_data import read_data
from capsmed.engines.run_folder import RunFolder
from capsmed.engines.start import open_run
from tests.engines.blobs import tiny


def test_the_run_records_and_says_what_lies_beyond_the_images(blobs, tmp_path, capsys):
    experiment = tiny(str(blobs), patch={"size": [24, 16]})
    data = read_data(experiment, blobs.parent)
    assert "24 of 24 patches lie more than a quarter beyond" in capsys.readouterr().err
    run = RunFolder(tmp_path / "run")
    open_run(run, experiment, data.cohort, data.patches, data.splits, blobs.parent)
    cases = run.read_table("cohort.csv")
    assert np.allclose(cases["padded"], 1 / 3, atol=1e-4) and (cases["findings"] == "").all()
