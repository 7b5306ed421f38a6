"""The command line: the composition root, and the only room that knows all the others.

    house     which servers, which ledger: found running, or started for one command
    running   up, and the workers that it starts
    filling   import, demo
    reading   read: what the API gives
    analysing replay, export, sql, changes: the history, for analysts
    reporting report: charts
    archiving archive, restore, checksums
    looking   events, projections, feed, settings
    checking  doctor
    keys      key
    signing   consultant: who may sign in
    documents the papers made from the code
    hearing   what up does with the words of its workers

What cannot be done as it was asked is one line on stderr and exit code 2; what breaks on the way,
and what is found to be wrong, is exit code 1.
"""

from __future__ import annotations

import gc
import logging
import sys

import cyclopts
import structlog

from .house import told

COMMANDS = {
    "up": "running:up",
    "worker": "running:worker",
    "migrate": "running:migrate",
    "import": "filling:import_",
    "demo": "filling:demo",
    "read": "reading:read",
    "replay": "analysing:replay",
    "export": "analysing:export",
    "sql": "analysing:sql",
    "changes": "analysing:changes",
    "report": "reporting:report",
    "archive": "archiving:archive",
    "restore": "archiving:restore",
    "checksums": "archiving:checksums",
    "events": "looking:events",
    "projections": "looking:projections",
    "feed": "looking:feed_commands",
    "doctor": "checking:doctor",
    "key": "keys:key",
    "consultant": "signing:consultant",
    "settings": "looking:settings",
    "documents": "documents:documents",
}

COLLECT = (50_000, 50, 50)  # a fifth of a start went into looking for cycles


def main() -> None:
    gc.set_threshold(*COLLECT)
    words = sys.argv[1:]
    if words[:1] != ["worker"]:  # which logs as it is told to; here faults are told in words
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
    try:
        built(words)(words, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as fault:
        command = " ".join(("ledger-crm", *(fault.command_chain or ())))
        _stop(2, f"{' '.join(str(fault).split())} Try: {command} --help")
    except KeyboardInterrupt:
        _stop(130, "stopped")
    except BrokenPipeError:  # whoever read our output had enough
        sys.stderr.close()
        sys.exit(0)
    except Exception as fault:
        if (code_and_line := told(fault)) is None:
            raise
        _stop(*code_and_line)


def built(words: list[str]) -> cyclopts.App:
    """All commands. The one that the words name is loaded when it is called, and no other; with
    none of them named, as for the overview, all are loaded."""
    app = cyclopts.App(
        name="ledger-crm",
        help="A recruiting agency's CRM as a ledger: facts are kept, all else is a view of them.",
        version_flags=["--version"],
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, where in COMMANDS.items():
        app.command(f"{__name__}.{where}", name=name, show=name != "documents")
    if not words or words[0] not in COMMANDS:
        for name in COMMANDS:
            app[name]
    return app


def _stop(code: int, line: str) -> None:
    print(f"ledger-crm: {line}", file=sys.stderr)
    sys.exit(code)
