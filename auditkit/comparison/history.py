"""History of many runs: versions in the order in which their audits ended, and what changed.

Consecutive runs are compared only if they were measured under the same conditions. A metric counts
as moved if the intervals of both runs do not overlap, which is a stricter test than that of a
paired difference: use `auditkit diff` for two runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditkit.comparison.headline_metrics import dimensions_of, gravest_rule, headline_of
from auditkit.comparison.metric_changes import MOVED, Word, disjoint
from auditkit.comparison.recorded_run import RecordedRun, find_runs, read_run
from auditkit.errors import AuditkitError
from auditkit.policy.baseline import differences
from auditkit.types import Finding

__all__ = ["Fault", "History", "Move", "Point", "Step", "Track", "read_history"]

_NEVER = "9999"  # sorts after every recorded time


@dataclass(frozen=True)
class Fault:
    """A run folder that is not shown because it fails verification."""

    path: Path
    message: str


@dataclass(frozen=True)
class Point:
    """The headline metric of a dimension in one run, and the verdict on the dimension.

    `finding` is None if the run did not measure the metric. `verdict` is `pass`, `fail`,
    `inconclusive`, or `none` if no rule judges the dimension.
    """

    finding: Finding | None
    verdict: str


@dataclass(frozen=True)
class Track:
    """One dimension over time: its headline metric, and one point per run, in the order of the
    runs.
    """

    dimension: str
    metric: str
    group: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Move:
    """A headline metric whose intervals in two consecutive runs do not overlap.

    `word` is `worse`, `better`, `higher`, `lower`, or `not compared` if the two runs measured the
    metric in different ways; `note` says what differs.
    """

    dimension: str
    word: Word
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What changed between two consecutive runs.

    Attributes:
        obstacles: conditions that differ, so that numbers are not compared; empty if the runs are
            comparable.
        moved: headline metrics with disjoint intervals; empty if there are obstacles.
        verdicts: (dimension, verdict before, verdict after) of changed verdicts; the dimension
            `all` is the verdict on the run.
        other_policy: whether the verdicts come from different policies.
        other_target: whether the fingerprint of the recommender differs.
    """

    obstacles: tuple[str, ...]
    moved: tuple[Move, ...]
    verdicts: tuple[tuple[str, str, str], ...]
    other_policy: bool
    other_target: bool

    @property
    def quiet(self) -> bool:
        """Whether the step has no change to report."""
        return not (self.obstacles or self.moved or self.verdicts)


@dataclass(frozen=True, kw_only=True)
class History:
    """Verified runs of a folder, oldest first; `steps` has one entry fewer than `runs`."""

    folder: Path
    runs: tuple[RecordedRun, ...]
    steps: tuple[Step, ...]
    tracks: tuple[Track, ...]
    faults: tuple[Fault, ...]

    def place(self, run: RecordedRun) -> str:
        """Path of a run relative to the folder."""
        return run.path.relative_to(self.folder).as_posix()


def read_history(folder: Path, *, progress: Callable[[int, int], None] | None = None) -> History:
    """Verify and read every run folder within two levels.

    Args:
        folder: contains the run folders.
        progress: called with the number of runs read so far, and the number of all runs.

    Returns:
        The history. A folder that fails verification is listed with its error and is not used in
        any number.

    Raises:
        ConfigurationError: the folder contains no run.
    """
    paths, runs, faults = find_runs(folder), [], []
    for number, path in enumerate(paths, start=1):
        try:
            runs.append(read_run(path))
        except AuditkitError as error:
            faults.append(Fault(path, str(error)))
        if progress is not None:
            progress(number, len(paths))
    runs.sort(key=lambda run: (run.finished or _NEVER, str(run.path)))
    tracks = _tracks(runs)
    return History(
        folder=folder,
        runs=tuple(runs),
        steps=tuple(_steps(runs, tracks)),
        tracks=tracks,
        faults=tuple(faults),
    )


def _tracks(runs: Sequence[RecordedRun]) -> tuple[Track, ...]:
    """For each dimension, the headline metric of the latest run that measured it."""
    tracks = []
    for dimension in dimensions_of([f for run in runs for f in run.result.findings]):
        found = [headline_of(run.result.findings, dimension) for run in runs]
        latest = next((f for f in reversed(found) if f is not None), None)
        if latest is None:
            continue  # only reference recommenders were measured
        points = tuple(_point(run, dimension, latest) for run in runs)
        tracks.append(Track(dimension, latest.metric, latest.group, points))
    return tuple(tracks)


def _point(run: RecordedRun, dimension: str, latest: Finding) -> Point:
    key = (latest.metric, latest.group)
    finding = next((f for f in run.result.findings if (f.metric, f.group) == key), None)
    rule = gravest_rule(run.decision, dimension)
    return Point(finding, rule.verdict if rule else "none")


def _steps(runs: Sequence[RecordedRun], tracks: Sequence[Track]) -> Iterator[Step]:
    for at in range(1, len(runs)):
        old, new = runs[at - 1], runs[at]
        judged = (old.decision, new.decision)
        policies = {d.policy_sha256 for d in judged if d is not None}
        yield Step(
            obstacles=tuple(d.name for d in differences(new.result, old.result, ())),
            moved=tuple(_moved(old, new, tracks, at)),
            verdicts=tuple(_verdicts(old, new, tracks, at)),
            other_policy=len(policies) > 1,
            other_target=old.result.target.fingerprint != new.result.target.fingerprint,
        )


def _moved(old: RecordedRun, new: RecordedRun, tracks: Sequence[Track], at: int) -> Iterator[Move]:
    if differences(new.result, old.result, ()):
        return
    for track in tracks:
        before, after = track.points[at - 1].finding, track.points[at].finding
        if before is None or after is None or not disjoint(before.estimate, after.estimate):
            continue
        names = [d.name for d in differences(new.result, old.result, [(after, before)])]
        if names:
            yield Move(track.dimension, "not compared", f"other {', other '.join(names)}")
            continue
        rose = (after.estimate.value or 0.0) > (before.estimate.value or 0.0)
        yield Move(track.dimension, MOVED[after.estimate.direction, rose])


def _verdicts(
    old: RecordedRun, new: RecordedRun, tracks: Sequence[Track], at: int
) -> Iterator[tuple[str, str, str]]:
    if old.verdict != new.verdict:
        yield "all", old.verdict, new.verdict
    for track in tracks:
        before, after = track.points[at - 1].verdict, track.points[at].verdict
        if before != after:
            yield track.dimension, before, after
