"""Distribute the requests of an audit over a Ray cluster, with one recommender per actor.

The batches are the same as in a local run, so the responses are the same. The recommender is also
loaded in this process, for its prompts and for probes that need its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from auditkit.errors import ConfigurationError, TargetError, TargetUnavailable
from auditkit.recommenders.loading.load import LoadedRecommender
from auditkit.recommenders.protocols import Remote

__all__ = ["Spread", "spread"]

_SPREAD = ("recommend", "generate", "score", "rescore")


@contextmanager
def spread(
    loaded: LoadedRecommender,
    load: Callable[[], LoadedRecommender],
    *,
    workers: int,
    batch_size: int,
    address: str | None = None,
) -> Iterator[Spread]:
    """Context manager that runs the calls of a recommender on Ray actors.

    A cluster that was already running is not shut down afterwards.

    Args:
        loaded: the recommender, loaded locally.
        load: loads the same recommender; called once in every actor.
        workers: number of actors.
        batch_size: requests per call of an actor.
        address: address of a running Ray cluster; None starts a cluster on this machine.

    Raises:
        TargetUnavailable: no cluster runs at the address, or an actor cannot load the recommender.
    """
    if isinstance(loaded.recommender, Remote):
        raise ConfigurationError(
            "--workers applies only to local recommenders, but this recommender is remote, and "
            "its calls are already concurrent. Remove the option."
        )
    joined = ray.is_initialized()
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise TargetUnavailable(
            f"no Ray cluster at {address} ({error}). Start the cluster, or correct the address."
        ) from None
    actor = ray.remote(num_cpus=1)(_Actor)
    actors = [actor.remote(load, _threads()) for _ in range(workers)]
    try:
        ray.get([one.ready.remote() for one in actors])
        yield Spread(loaded.recommender, actors, batch_size)
    except RayActorError as error:
        raise TargetUnavailable(
            f"a Ray actor died ({error}). Check that it has enough memory."
        ) from None
    finally:
        for one in actors:
            ray.kill(one)
        if not joined:
            ray.shutdown()


class Spread:
    """A recommender whose calls run on Ray actors; all other attributes are those of the local
    recommender.

    Attributes:
        window: number of requests to pass to the recommender at once.
    """

    def __init__(self, local: object, actors: Sequence[Any], batch_size: int) -> None:
        # Capabilities are detected by attribute (isinstance), so attributes are set one by one.
        for name in dir(local):
            if not name.startswith("_"):
                setattr(self, name, getattr(local, name))
        for name in _SPREAD:
            if hasattr(local, name):
                setattr(self, name, self._spread(name))
        self._actors, self._batch_size = actors, batch_size
        self.window = len(actors) * batch_size

    def _spread(self, name: str) -> Callable[..., list[Any]]:
        """Return the named method in a form that runs on the actors. Each actor gets complete
        batches, and results keep their order.
        """

        def call(first: Sequence[Any], *others: Sequence[Any], **options: Any) -> list[Any]:
            waiting, sizes = [], []
            for number, begin in enumerate(range(0, len(first), self._batch_size)):
                part = slice(begin, begin + self._batch_size)
                actor = self._actors[number % len(self._actors)]
                seeds = {"seeds": options["seeds"][part]} if "seeds" in options else {}
                columns = [column[part] for column in (first, *others)]
                waiting.append(actor.call.remote(name, columns, {**options, **seeds}))
                sizes.append(len(columns[0]))
            try:
                parts = ray.get(waiting)
            except RayTaskError as error:  # its message contains host and process names
                raise error.cause from None
            # Joined batches of wrong lengths could be misaligned silently.
            if [len(part) for part in parts] != sizes:
                raise TargetError("wrong_length", detail="a batch got another number of responses")
            return [answer for part in parts for answer in part]

        return call


class _Actor:
    """One recommender in its own process."""

    def __init__(self, load: Callable[[], LoadedRecommender], threads: int | None) -> None:
        if threads is not None:
            import torch

            torch.set_num_threads(threads)  # rounding depends on it
        self._recommender = load().recommender

    def ready(self) -> None:
        """Return when the recommender is loaded."""

    def call(self, name: str, columns: Sequence[Any], options: dict[str, Any]) -> Any:
        return getattr(self._recommender, name)(*columns, **options)


def _threads() -> int | None:
    """Number of torch threads in this process; None if torch is not imported."""
    import sys

    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch else None
