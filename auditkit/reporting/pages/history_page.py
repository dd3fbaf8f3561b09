"""History of runs as one static page: a table of versions, and one figure per dimension.

The page links only to the reports of the runs, by relative paths, so that the folder can be moved
or published as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from auditkit.comparison.history import History, Step, Track
from auditkit.comparison.recorded_run import RecordedRun
from auditkit.registry import metrics
from auditkit.reporting.html import environment, page_style, style_only_policy
from auditkit.reporting.html_allowlist import check_html, is_report_link
from auditkit.reporting.interval_plots import Figure, Row, draw
from auditkit.reporting.sarif import tool_version
from auditkit.reporting.sections import DIMENSIONS, row_of

__all__ = ["render_history", "report_link"]


@dataclass(frozen=True)
class _Version:
    """One row of the table of runs; `link` is empty if no report is in the page's folder or
    below.
    """

    place: str
    run: RecordedRun
    link: str
    step: Step | None


@dataclass(frozen=True)
class _Panel:
    """Figure of one dimension, and the verdict on the dimension in every run."""

    title: str
    metric: str
    group: str
    about: str
    figure: Figure
    verdicts: tuple[str, ...]


def render_history(history: History, page: Path) -> str:
    """Render the history as an HTML page.

    Args:
        history: runs in order of time, from `read_history`.
        page: path of the file to which the page is written; links are relative to its folder.

    Raises:
        AuditkitError: the page violates the HTML allow-list and must not be written.
    """
    style = page_style()
    steps = (None, *history.steps)
    versions = [
        _Version(history.place(run), run, report_link(run, page), step)
        for run, step in zip(history.runs, steps, strict=False)
    ]
    rendered = (
        environment()
        .get_template("history.html.j2")
        .render(
            name=history.folder.resolve().name,
            versions=versions,
            panels=[_panel(history, track) for track in history.tracks],
            # Without the folder, so that a published page has no path of this machine.
            faults=[
                (
                    f.path.relative_to(history.folder).as_posix(),
                    f.message.replace(f"{history.folder}/", ""),
                )
                for f in history.faults
            ],
            titles={key: title for key, (title, _) in DIMENSIONS.items()},
            style=Markup(style),
            csp=style_only_policy(style),
            version=tool_version(),
        )
    )
    check_html(rendered + "\n", n_scripts=0, reports=True)
    return rendered + "\n"


def report_link(run: RecordedRun, page: Path) -> str:
    """Return the relative address of a run's report.

    The address is empty if the run has no report, or if the report is not in the page's folder or
    below.
    """
    if "report.html" not in run.manifest.get("outputs", {}):
        return ""
    report = run.path.resolve() / "report.html"
    try:
        below = report.relative_to(page.resolve().parent)
        address = "/".join(quote(part, safe="") for part in below.parts)
    except (ValueError, UnicodeEncodeError):  # elsewhere, or a name that is not valid UTF-8
        return ""
    return address if is_report_link(address) else ""


def _panel(history: History, track: Track) -> _Panel:
    found = [point.finding for point in track.points if point.finding is not None]
    rows = [
        row_of(point.finding, history.place(run), run.decision)
        if point.finding
        else Row(
            label=history.place(run), value=None, low=None, high=None, n=0, reason="not measured"
        )
        for run, point in zip(history.runs, track.points, strict=True)
    ]
    title = DIMENSIONS.get(track.dimension, (track.dimension, ""))[0]
    spec = metrics().get(track.metric)
    figure = draw(rows, title=title, unit=found[-1].estimate.unit)
    verdicts = tuple(point.verdict for point in track.points)
    return _Panel(title, track.metric, track.group, spec.about if spec else "", figure, verdicts)
