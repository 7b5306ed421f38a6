"""Follows the ledger and writes down each position that it heard. URL KEY FILE"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ledger_crm.client import Client

url, key, told = sys.argv[1:]
handle = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
seen = Path(told).read_text().split()
with Client(url, key) as crm:
    for entry in crm.follow(after=int(seen[-1]) if seen else 0):
        os.write(handle, f"{entry.position}\n".encode())
