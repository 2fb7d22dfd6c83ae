"""A trained run that learns one more task: how its model grows, what may change, and what became of the old tasks."""
