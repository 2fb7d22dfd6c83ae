"""What watches a run: files, progress, TensorBoard, pictures, the report."""
