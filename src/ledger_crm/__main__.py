"""The program: nothing is loaded yet, so that Ctrl-C while it loads ends it without a word."""

import signal


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ledger_crm.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
