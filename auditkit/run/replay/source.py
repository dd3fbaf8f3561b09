"""A verified run, with the recommender to which its requests are sent again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from auditkit.catalog.catalog import Catalog
from auditkit.comparison.recorded_run import RecordedRun, read_run
from auditkit.evidence.run_log import RunLog
from auditkit.recommenders.execution.stop_rule import StopRule
from auditkit.recommenders.execution.target import Target
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.run.data import load_data
from auditkit.run.opened import deadline_of, opened_recommender
from auditkit.run.options import AuditOptions, Progress
from auditkit.run.recipe import AuditRecipe
from auditkit.run.recompute import as_audited, recipe_of

__all__ = ["ReplaySource", "open_source"]


@dataclass(frozen=True)
class ReplaySource:
    """A verified run with its recipe, and the recommender that gets its requests."""

    run: RecordedRun
    recipe: AuditRecipe
    catalog: Catalog
    loaded: LoadedRecommender
    options: AuditOptions

    @property
    def notes(self) -> tuple[str, ...]:
        """A note if the recommender is not the audited one."""
        audited = self.run.manifest.get("fingerprints", {}).get("target")
        if audited in (None, self.loaded.fingerprint):
            return ()
        return ("this recommender is not the audited one: its fingerprint differs",)

    def target(self, log: RunLog, stop: StopRule, progress: Progress = Progress()) -> Target:
        """Wrap the recommender with a log for the new responses."""
        return Target(
            self.loaded.recommender,
            catalog=self.catalog,
            log=log,
            seed=self.recipe.seed,
            fingerprint=self.loaded.fingerprint,
            prompts=self.loaded.prompts,
            batch_size=self.recipe.batch_size,
            stop=stop,
            seconds=deadline_of(self.loaded, self.options),
            retry_errors=True,
            defer_signals=self.options.defer_signals,
            on_progress=progress.requests,
        )


@contextmanager
def open_source(run: Path, target: str | None, options: AuditOptions) -> Iterator[ReplaySource]:
    """Verify a run, load the recommender, and restrict the network while it is used.

    Args:
        run: the run folder.
        target: the recommender that gets the requests; None for the recommender that the manifest
            names.
        options: as for `recompute_run`.

    Raises:
        ConfigurationError: `target` is None, and the manifest does not name the recommender.
        TargetUnavailable: the recommender cannot be loaded.
        IntegrityError: the run was altered.
    """
    recorded = read_run(run, with_records=True)
    named, options = as_audited(recorded.manifest, target, options)
    recipe = recipe_of(recorded.result, recorded.manifest)
    dataset, catalog = load_data(
        recipe,
        catalog=options.catalog,
        domain=options.domain,
        allow_outside=options.allow_outside,
    )
    with opened_recommender(named, recipe, dataset, options) as loaded:
        yield ReplaySource(recorded, recipe, catalog, loaded, options)
