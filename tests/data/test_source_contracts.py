"""Every data source, reader and importer under the contract that plugins' ones are held to."""

import pytest

from capsmed.data.importers import IMPORTERS
from capsmed.data.readers import FOLDER, READERS
from capsmed.data.whole_sets import DATA_SOURCES
from capsmed.plugins.contracts import data_source, importer, reader

REGISTERED = {data_source: DATA_SOURCES, importer: IMPORTERS, reader: set(READERS) - {FOLDER}}
NAMES = [(contract, name) for contract, names in REGISTERED.items() for name in sorted(names)]


@pytest.mark.parametrize(
    ("check", "case"),
    [
        pytest.param(check, case, id=f"{name}-{check.__name__}")
        for contract, name in NAMES
        for case in contract.cases(name)
        for check in contract.CHECKS
    ],
)
def test_contract(check, case) -> None:
    check(case)
