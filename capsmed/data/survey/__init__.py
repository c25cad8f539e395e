"""Looking at every case of a cohort before anything is trained on it."""

from capsmed.data.survey.case import Case, Note
from capsmed.data.survey.cuts import Cuts
from capsmed.data.survey.frames import FrameTest
from capsmed.data.survey.opening import Opened, open_table
from capsmed.data.survey.relations import Relation
from capsmed.data.survey.survey import Survey, survey

__all__ = [
    "Case",
    "Cuts",
    "FrameTest",
    "Note",
    "Opened",
    "Relation",
    "Survey",
    "open_table",
    "survey",
]
