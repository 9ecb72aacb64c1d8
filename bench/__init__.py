"""Benchmarks: nnfast and other installable libraries, interleaved in one run. See bench/report.py."""
