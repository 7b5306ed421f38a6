"""What takes more than one stream, and what drives many commands. One module per journey.

A command is a function of a ``Work``: it loads, decides, and returns the aggregate that the
receipt is for. Whoever calls it decides when to write: ``ledger.decide`` at once, the importer a
thousand at a time.
"""
