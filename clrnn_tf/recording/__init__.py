"""Observers of a run and what they write: files, progress, TensorBoard, figures, the report."""
