"""Trained models as SavedModels, which load without this package."""

from export.all_tasks import export_all_tasks as export_all_tasks
from export.saved_model import export_task as export_task

__all__ = ["export_all_tasks", "export_task"]
