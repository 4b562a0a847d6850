"""A report each night over the flights of the day before, also over nights in which nobody worked."""
