"""Basics shared by all other modules: options, arrays, tables, files, and the machine."""
