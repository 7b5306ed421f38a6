"""Ledger CRM: a recruiting agency's CRM as a ledger."""
