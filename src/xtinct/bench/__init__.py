"""Speed, measured against named baselines."""
