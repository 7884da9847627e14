"""Speed, as ratios to a limit or a named peer measured in the same run: `make bench`."""
