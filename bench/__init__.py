"""Benchmarks: nnfast beside what else a Python user can install, in one run. See bench/report.py."""
