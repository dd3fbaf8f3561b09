"""Checks that users write in a recipe: conditions on listed items, answers and texts."""
