"""Full-length runs: settings, training, checkpoints, results, studies, the command line."""
