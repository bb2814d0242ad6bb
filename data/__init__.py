"""Images out of files, as arrays in [0, 1].

`table` lists the data sets, `loading.load` reads one, and README.md tells how to add one.
"""


class DataError(ValueError):
    """Data that are missing or damaged; the message is for the user."""


class MissingDataError(DataError):
    """Data that are in none of the usual places, though the user named no other place."""
