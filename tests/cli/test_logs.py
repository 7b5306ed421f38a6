"""Lines of the log: each one once and whole, those of one turn of a loop in one write."""

from __future__ import annotations

import asyncio
import io
import threading

from ledger_crm.cli.logs import Lines


class Written(io.BytesIO):
    writes = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.writes += 1
        return super().write(data)


def test_lines_of_one_turn_are_one_write_and_none_waits_longer() -> None:
    to = Written()
    lines = Lines(to)

    async def turns() -> None:
        for turn in range(3):
            for n in range(4):
                lines.info(b"%d-%d" % (turn, n))
            await asyncio.sleep(0)
            assert to.writes == turn + 1
        lines.info(b"last")

    asyncio.run(turns())

    assert to.getvalue().split() == [
        *(b"%d-%d" % (turn, n) for turn in range(3) for n in range(4)), b"last"
    ]  # fmt: skip


def test_a_loop_that_is_gone_leaves_nothing_behind_for_the_next() -> None:
    to = Written()
    lines = Lines(to)
    gone = asyncio.new_event_loop()

    async def say(text: bytes) -> None:
        lines.info(text)

    gone.run_until_complete(say(b"one"))
    gone.close()
    asyncio.run(say(b"two"))
    assert to.getvalue() == b"one\ntwo\n"


def test_threads_and_a_loop_lose_and_tear_no_line() -> None:
    to = Written()
    lines = Lines(to)

    def many(who: int) -> None:
        for n in range(200):
            lines.info(b"%d-%d" % (who, n))

    async def in_a_loop() -> None:
        for n in range(200):
            lines.info(b"loop-%d" % n)
            await asyncio.sleep(0)

    threads = [threading.Thread(target=many, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    asyncio.run(in_a_loop())
    for thread in threads:
        thread.join()

    found = to.getvalue().split()
    assert len(found) == len(set(found)) == 1000
    assert [line for line in found if line.startswith(b"loop-")] == [
        b"loop-%d" % n for n in range(200)
    ]
