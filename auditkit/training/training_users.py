"""Users whom a recipe holds out, leaves out or unlearns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auditkit.errors import InvalidArgument
from auditkit.privacy.user_list import read_user_ids
from auditkit.seeding import generator

if TYPE_CHECKING:
    from auditkit.training.recipe import TrainingRecipe

__all__ = ["draw_holdout", "left_out", "unlearned"]


def draw_holdout(recipe: TrainingRecipe, *, n_users: int) -> frozenset[int]:
    """Sample the indices of the users that are held out from training."""
    wanted = recipe.data.holdout_users
    if wanted >= n_users:
        raise InvalidArgument(
            f"data.holdout_users {wanted} leaves none of the {n_users} users for training. Choose "
            "a smaller number."
        )
    drawn = generator(recipe.seed, "holdout users").choice(n_users, size=wanted, replace=False)
    return frozenset(int(user) for user in drawn)


def left_out(recipe: TrainingRecipe, user_ids: Sequence[str]) -> frozenset[int]:
    """Return the positions of users without training rows.

    These are held-out users, and users who asked to be forgotten unless gradient ascent unlearns
    them.
    """
    held_out = draw_holdout(recipe, n_users=len(user_ids))
    forgetting = recipe.data.forgetting
    if forgetting is None or forgetting.ascent:
        return held_out
    return held_out | set(read_user_ids(Path(forgetting.users_file), user_ids))


def unlearned(recipe: TrainingRecipe, user_ids: Sequence[str]) -> frozenset[int]:
    """Return the positions of users whom gradient ascent unlearns; empty without `ascent`."""
    forgetting = recipe.data.forgetting
    if forgetting is None or not forgetting.ascent:
        return frozenset()
    asked = read_user_ids(Path(forgetting.users_file), user_ids)
    return frozenset(asked) - draw_holdout(recipe, n_users=len(user_ids))
