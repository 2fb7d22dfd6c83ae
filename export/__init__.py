"""Trained models as SavedModels, which load without this package."""

from export.saved_model import export_task as export_task

__all__ = ["export_task"]
