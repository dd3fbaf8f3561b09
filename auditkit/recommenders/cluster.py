"""Spread an audit's requests over a Ray cluster: a pool of actors, one loaded recommender each.

Every actor gets the very batches that a local run would form, so the answers are the same. The
recommender is also loaded here, for its prompts and for probes that need its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray

from auditkit.errors import TargetError
from auditkit.recommenders.load import LoadedRecommender

__all__ = ["Cluster"]

_SPREAD = ("recommend", "generate", "score", "rescore")


class Cluster:
    """A recommender whose calls run on actors; everything else it does is the local one's.

    Args:
        loaded: the recommender, loaded locally.
        load: loads the same recommender; called once in every actor.
        workers: number of actors.
        batch_size: requests per call of an actor.
        address: of a running cluster; None starts one on this machine.

    Attributes:
        window: requests to hand over at once.
    """

    def __init__(
        self,
        loaded: LoadedRecommender,
        load: Callable[[], LoadedRecommender],
        *,
        workers: int,
        batch_size: int,
        address: str | None = None,
    ) -> None:
        local = loaded.recommender
        # Capabilities are looked up without calling anything, so they are set one by one.
        for name in dir(local):
            if not name.startswith("_"):
                setattr(self, name, getattr(local, name))
        for name in _SPREAD:
            if hasattr(local, name):
                setattr(self, name, self._spread(name))
        self.window, self._batch_size = workers * batch_size, batch_size
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
        actor = ray.remote(num_cpus=1)(_Actor)
        self._actors = [actor.remote(load, _threads()) for _ in range(workers)]

    def close(self) -> None:
        """End the actors; the cluster goes on."""
        for actor in self._actors:
            ray.kill(actor)

    def _spread(self, name: str) -> Callable[..., list[Any]]:
        """The method on actors: each gets whole batches, and the results come back in order."""

        def call(first: Sequence[Any], *others: Sequence[Any], **options: Any) -> list[Any]:
            waiting, sizes = [], []
            for number, begin in enumerate(range(0, len(first), self._batch_size)):
                part = slice(begin, begin + self._batch_size)
                actor = self._actors[number % len(self._actors)]
                seeds = {"seeds": options["seeds"][part]} if "seeds" in options else {}
                columns = [column[part] for column in (first, *others)]
                waiting.append(actor.call.remote(name, columns, {**options, **seeds}))
                sizes.append(len(columns[0]))
            parts = ray.get(waiting)
            if [len(part) for part in parts] != sizes:  # joined, they could be shifted unseen
                raise TargetError("wrong_length", detail="a batch got another number of answers")
            return [answer for part in parts for answer in part]

        return call


class _Actor:
    """One recommender in its own process."""

    def __init__(self, load: Callable[[], LoadedRecommender], threads: int | None) -> None:
        if threads is not None:
            import torch

            torch.set_num_threads(threads)  # rounding depends on it
        self._recommender = load().recommender

    def call(self, name: str, columns: Sequence[Any], options: dict[str, Any]) -> Any:
        return getattr(self._recommender, name)(*columns, **options)


def _threads() -> int | None:
    """Threads of torch here, if it is in use."""
    import sys

    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch else None
