"""Every case of a cohort looked at, in threads, with what they say together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from capsmed import config
from capsmed.data.cores import cores
from capsmed.data.progress import Progress
from capsmed.data.survey.case import Case, Note
from capsmed.data.survey.frames import FrameTest, judge, vote
from capsmed.data.survey.measure import Look, Row, Show, look_at, start
from capsmed.data.survey.opening import Opened
from capsmed.data.survey.relations import Relation, relations

#: Images looked at once at most. One up to 64 MB is held whole, and its mask beside it.
THREADS = 8
Job = list[tuple[int, Row]]


@dataclass(frozen=True)
class Survey:
    """A cohort that was looked at.

    Attributes:
        file: name of the table.
        classes: labels in class order.
        cases: every row, in the order of the table.
        frame: whether the points fit their frame.
        relations: what several cases have to do with each other.
        patch: the crop box.
        first_pixel: whether it was named, where it is needed.
        notes: of the table as a whole.
        patients_known: whether patient ids say anything.
    """

    file: str
    classes: tuple[str, ...]
    cases: tuple[Case, ...]
    frame: FrameTest
    relations: tuple[Relation, ...]
    patch: config.Patch
    notes: tuple[Note, ...] = ()
    patients_known: bool = True


def survey(
    opened: Opened,
    patch: config.Patch,
    show: Show,
    progress: Progress,
    chosen: bool = False,
) -> Survey:
    """Look at every case, bad rows included.

    At most a few images are in memory at once, however many cases there are. When nobody named the
    frame and the points fit the other one than they were read in, they are read again in that.

    Args:
        opened: the table.
        patch: the crop box.
        show: called from threads with each case's position and pictures.
        progress: called with (cases done, cases in all).
        chosen: whether somebody chose that patch, so that an image it does not suit is at fault.
    """
    how = Look(patch, chosen, opened.checks, show)
    found = _together(opened, _all(opened, how, progress), patch)
    if opened.frame_named or found.frame.verdict != "mirrored":
        return found
    opened = opened.mirrored()
    return _together(opened, _all(opened, how, progress), patch)


def _all(opened: Opened, how: Look, progress: Progress) -> list[Case]:
    """Every case in the order of the table."""
    cohort = opened.cohort
    jobs, cases = _jobs(opened), {case.position: case for case in _unreadable(opened)}
    total = len(cohort.table)
    workers = min(THREADS, cores())
    with ThreadPoolExecutor(workers) as pool:
        pending: set[Future[list[Case]]] = set()
        try:
            for job in jobs:
                pending.add(pool.submit(look_at, cohort, job, how))
                while len(pending) >= 2 * workers:
                    pending = _collect(pending, cases, progress, total)
            while pending:
                pending = _collect(pending, cases, progress, total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [cases[position] for position in sorted(cases)]


def _together(opened: Opened, cases: Sequence[Case], patch: config.Patch) -> Survey:
    pairs = [(c.given, c.mirrored) for c in cases if c.given is not None and c.mirrored is not None]
    frame = judge(pairs, opened.frame, opened.frame_named)
    cohort = opened.cohort
    return Survey(
        cohort.file,
        cohort.classes,
        tuple(_against(case, frame) for case in cases),
        frame,
        relations(cases),
        patch,
        opened.notes,
        cohort.patients_known,
    )


def _against(case: Case, frame: FrameTest) -> Case:
    """A case that clearly fits the other frame than the rest of its table says so."""
    if case.given is None or case.mirrored is None or frame.verdict not in ("given", "mirrored"):
        return case
    side, strong = vote(case.given, case.mirrored)
    if not strong or side == (1 if frame.verdict == "given" else -1):
        return case
    other = frame.other if frame.verdict == "given" else frame.frame
    note = Note("look", f"this point alone fits {other} better")
    return replace(case, notes=(*case.notes, note))


def _collect(
    pending: set[Future[list[Case]]], cases: dict[int, Case], progress: Progress, total: int
) -> set[Future[list[Case]]]:
    done, left = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        cases.update({case.position: case for case in future.result()})
    progress(len(cases), total)
    return left


def _jobs(opened: Opened) -> Iterator[Job]:
    """The rows that can be read: those of one image together, arrays by the hundred."""
    rows = [
        (i, row)
        for i, row in enumerate(opened.cohort.table.to_dict("records"))
        if i not in opened.bad
    ]
    if opened.cohort.images is not None:
        yield from ([pair] for pair in rows)
        return
    groups: dict[str, Job] = defaultdict(list)
    for pair in rows:
        groups[f"{pair[1]['image']} {pair[1].get('series_uid', '')}"].append(pair)
    yield from groups.values()


def _unreadable(opened: Opened) -> Iterator[Case]:
    for position, row in enumerate(opened.cohort.table.to_dict("records")):
        if position in opened.bad:
            yield replace(start(position, row), left_out="", notes=opened.bad[position])
