"""What everything stands on: options, arrays, tables, files, and the machine."""
