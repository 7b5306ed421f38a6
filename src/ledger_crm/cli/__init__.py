"""The command line: the composition root, and the only room that knows all the others.

    house     which servers, which ledger: found running, or started for one command
    running   up, and the workers that it starts
    filling   import, demo
    looking   events, projections, feed, settings, doctor
    keys      key
    documents the papers made from the code

Bad input is one line on stderr and exit code 2; a fault that is nobody's input is exit code 1.
"""

from __future__ import annotations

import sys

import cyclopts

from .house import FAULTS, explained


def main() -> None:
    try:
        built(sys.argv[1:])(exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as fault:
        _stop(2, " ".join(str(fault).split()) + " Try: ledger-crm --help")
    except FAULTS as fault:
        _stop(2, explained(fault))
    except KeyboardInterrupt:
        _stop(130, "stopped")
    except BrokenPipeError:  # whoever read our output had enough
        sys.stderr.close()
        sys.exit(0)


def built(words: list[str]) -> cyclopts.App:
    """The commands that these words may mean: a worker, of which up starts three at once, loads
    nothing but itself."""
    app = cyclopts.App(
        name="ledger-crm",
        help="A recruiting agency's CRM as a ledger: facts are kept, all else is a view of them.",
        version_flags=["--version"],
        result_action="return_value",
    )
    from . import running

    running.register(app)
    if words[:1] != ["worker"]:
        from . import documents, filling, keys, looking

        for module in (filling, looking, keys, documents):
            module.register(app)
    return app


def _stop(code: int, line: str) -> None:
    print(f"ledger-crm: {line}", file=sys.stderr)
    sys.exit(code)
