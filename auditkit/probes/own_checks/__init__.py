"""Own checks, which users write in a recipe: conditions on listed items, answers and texts."""
