"""Analysis: the history as a product. Nothing here writes to the ledger.

folding    a projection's folds, in memory
replaying  an analyst's own fold over a slice of the ledger
tables     what comes out: as CSV, JSON, Parquet
"""

from __future__ import annotations


class AnalysisFault(Exception):
    """One line: what is wrong and what to do."""
