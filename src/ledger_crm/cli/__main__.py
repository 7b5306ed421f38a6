"""``python -m ledger_crm.cli``: what the supervisor starts its workers with."""

from . import main

main()
