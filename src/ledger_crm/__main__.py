"""The program, and what the supervisor starts its workers with. Nothing is loaded yet, so that
Ctrl-C while it loads ends it without a word."""

import gc
import signal


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # a sixth of the loading went into looking for cycles
    from ledger_crm.cli import main as run

    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
