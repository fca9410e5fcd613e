"""The page of an experiment: its graph, its steps and their times, in one HTML file or live in the browser."""
