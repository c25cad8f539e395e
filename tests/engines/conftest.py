"""The cohort that the engines' tests train on."""

from pathlib import Path

import pytest

from tests.engines.blobs import write_blobs


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of 24 blobs of 24 patients."""
    return write_blobs(tmp_path_factory.mktemp("blobs"))
