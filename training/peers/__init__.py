"""Measures triaged's trained models against the usual text classifiers, on the same rows."""
