"""What is learned: tasks, streams of tasks, and their data."""
