"""``up``: everything under one supervisor; ``worker``: one of its processes, or of systemd's."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from contextlib import ExitStack, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cyclopts
import structlog

from ledger_crm.commands import catalogue
from ledger_crm.embedded import Claim, Nats, Postgres
from ledger_crm.ending import ended
from ledger_crm.ledger import Ledger
from ledger_crm.projections import every
from ledger_crm.settings import Settings
from ledger_crm.storage import storage_at
from ledger_crm.tracing import must_be_possible, traced
from ledger_crm.workers.supervisor import Child, Supervisor

from .hearing import hearing
from .house import Fault, app_url, console, ledger_at, load, prepare
from .logs import log_as_json

if TYPE_CHECKING:
    from nats.aio.client import Client

    from ledger_crm.commands.demo import Played

Worker = Literal["api", "projector", "relay", "webhooks"]
WORKERS: tuple[Worker, ...] = ("projector", "relay", "webhooks", "api")
READY_S = 60.0
WAITING = 2048  # callers, at most, while the API is not there
# An idle connection, longer than callers (httpx: 5 s) and proxies (60 s) keep it: if the server
# closes it first, a request that is on its way by then is lost.
KEPT_S = 75


def up(
    *,
    demo: Annotated[bool, cyclopts.Parameter(negative="")] = False,
    port: Annotated[
        int | None, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=0, lte=65535))
    ] = None,
) -> None:
    """Start everything: database, broker, API, projector, relay and webhooks; Ctrl-C stops it.

    Parameters
    ----------
    demo:
        Fill an empty ledger with two years of an invented agency first; one that holds other
        people or companies stays as it is.
    port:
        Of the API instead of LEDGER_PORT; 0 takes any that is free.
    """
    chosen = load()
    must_be_possible(os.environ)
    # Before anything is started: an address that is none, or not installed; a file among the read
    # models that is none, on which each worker would end again and again.
    storage_at(chosen.vault)
    every()
    with ExitStack() as house:
        claim = house.enter_context(Claim(chosen.home))
        # Ours, so that nobody takes the port while the API is not there, and who calls then waits.
        listening = house.enter_context(
            _listening(chosen.host, chosen.port if port is None else port)
        )
        port = int(listening.getsockname()[1])
        address = f"http://{_for_url(chosen.host)}:{port}"
        env, servers = _servers(house, chosen)
        env |= {"LEDGER_PORT": str(port)}
        ledger = house.enter_context(ledger_at(env["LEDGER_DATABASE_URL"], chosen))
        key = asyncio.run(_prepared(ledger, chosen))
        claim.announce(address)
        heard = house.enter_context(hearing(chosen.home / "log", WORKERS, _say))
        program, fd = [sys.executable, "-m", "ledger_crm", "worker"], listening.fileno()
        children = [
            Child(name, [*program, name, "--fd", str(fd)], env, fds=[fd])
            if name == "api"
            else Child(name, [*program, name], env)
            for name in WORKERS
        ]
        supervisor = Supervisor(children, say=_say, heard=heard, servers=servers)
        asyncio.run(_up(supervisor, ledger, address, key, demo, chosen))
    _say("stopped")


def worker(name: Worker, /, *, fd: int | None = None) -> None:
    """Run one worker in the foreground: what up starts, for systemd and containers.

    Parameters
    ----------
    name:
        Which one. LEDGER_DATABASE_URL must be set, for the relay LEDGER_NATS_URL too.
    fd:
        The API's: an open file that is a socket to listen on, instead of LEDGER_HOST and
        LEDGER_PORT.
    """
    chosen = load()
    if fd is not None and name != "api":
        raise Fault(f"--fd is the API's: {name} does not listen")
    listening = None if fd is None else _given(fd)
    if not chosen.database_url:
        raise Fault("a worker does not start servers: set LEDGER_DATABASE_URL, or use up")
    if name == "relay" and not chosen.nats_url:
        raise Fault("the relay needs a broker: set LEDGER_NATS_URL")
    log_as_json(chosen.log_level)
    with traced(os.environ, name), ledger_at(chosen.database_url, chosen) as ledger:
        match name:
            case "api":
                import uvloop  # which the others do not need

                uvloop.run(_serve(ledger, chosen, listening))
            case "projector":
                _project(ledger, chosen.database_url)
            case "relay":
                halted = asyncio.run(_relay(ledger, chosen.database_url, chosen.nats_url or ""))
                if halted:
                    sys.exit(1)
            case "webhooks":
                if asyncio.run(_send_webhooks(ledger, chosen)):
                    sys.exit(1)


def migrate() -> None:
    """Bring the schema of LEDGER_DATABASE_URL up to date, as LEDGER_DATABASE_OWNER_URL."""
    chosen = load()
    if not chosen.database_url:
        raise Fault("nothing to migrate: up looks after the embedded database by itself")
    applied = prepare(chosen.owner_url or chosen.database_url, embedded_server=False)
    with ledger_at(chosen.database_url, chosen) as ledger:
        asyncio.run(catalogue.ship(ledger))
    console().print(f"applied: {', '.join(applied) or 'nothing, it is up to date'}")


def _servers(house: ExitStack, chosen: Settings) -> tuple[dict[str, str], list[Any]]:
    """The environment of the workers, and the servers that were started for them."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LEDGER_DATABASE_OWNER")}
    env["LEDGER_HOME"] = str(chosen.home)
    servers: list[Any] = []
    if chosen.database_url:
        prepare(chosen.owner_url or chosen.database_url, embedded_server=False)
    else:
        postgres = house.enter_context(Postgres(chosen.home / "postgres", chosen.postgres_bin))
        prepare(postgres.url, embedded_server=True)
        env["LEDGER_DATABASE_URL"] = app_url(postgres.url)
        servers.append(postgres)
    if not chosen.nats_url:
        nats = house.enter_context(Nats(chosen.home / "nats", chosen.nats_bin))
        env["LEDGER_NATS_URL"] = nats.url
        servers.append(nats)
    return env, servers


async def _prepared(ledger: Ledger, chosen: Settings) -> str:
    """Pipelines shipped, and a key for the owner of this folder; its text is kept there."""
    await catalogue.ship(ledger)
    path = chosen.home / "api.key"
    with suppress(OSError):
        text = path.read_text().strip()
        if await catalogue.holder_of(ledger, text):
            return text
    _, text = await catalogue.create_key(
        ledger, actor="consultant:owner", role="owner", label="made by up"
    )
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    return text


async def _up(
    supervisor: Supervisor, ledger: Ledger, address: str, key: str, filled: bool, chosen: Settings
) -> None:
    running = asyncio.create_task(supervisor.run())
    filling = asyncio.create_task(_fill_and_greet(ledger, address, key, filled, chosen))
    done, _ = await asyncio.wait({running, filling}, return_when=asyncio.FIRST_COMPLETED)
    if filling in done and filling.exception():
        supervisor.stop()
        await running
        filling.result()
    await running
    await ended(filling)
    if not filling.cancelled():
        filling.result()


async def _fill_and_greet(
    ledger: Ledger, address: str, key: str, filled: bool, chosen: Settings
) -> None:
    from ledger_crm.commands.demo import PlayedOtherwise

    from .filling import held, play  # 0.3 s of vocabulary that workers need not load

    played, there = None, await held(ledger, seed=1)
    if filled and there == "others":
        _say(
            "this ledger holds people or companies that are not the demo agency's: it starts as it"
            " is, without playing"
        )
    elif filled:
        try:
            played = await play(ledger, seed=1, until=None)
        except PlayedOtherwise:
            _say("this ledger holds the demo agency in another size: it starts as it is")
    head = await ledger.head()
    try:
        async with asyncio.timeout(READY_S + head / 5_000):
            while not await asyncio.to_thread(_level, address, head):  # noqa: ASYNC110 over HTTP
                await asyncio.sleep(0.05)
    except TimeoutError:
        _say(f"not ready yet; see {chosen.home / 'log'} and: ledger-crm doctor")
    _greet(address, key, played, chosen, empty=there == "nothing")


def _level(address: str, head: int) -> bool:
    """Whether the API answers and every read model has got to ``head``."""
    import json
    from http.client import HTTPException
    from urllib.request import urlopen

    try:
        with urlopen(f"{address}/health/ready", timeout=2) as answer:  # noqa: S310 our own
            ready = json.load(answer)
    except (OSError, ValueError, HTTPException):
        return False
    return all(projection["position"] >= head for projection in ready["projections"])


def _greet(address: str, key: str, played: Played | None, chosen: Settings, *, empty: bool) -> None:
    out, program = console(), _program()
    if chosen.home != Path(".ledger").absolute():
        program = f"LEDGER_HOME={quote(str(chosen.home))} {program}"

    def get(path: str) -> str:
        return f'    curl -s -H "Authorization: Bearer {key}" "{address}{path}"'

    out.print(f"\nLedger CRM is ready at {address}   (documentation: {address}/docs)")
    out.print(f"API key: {key}\n\nTry:")
    if played:
        out.print("  the candidate who became a hiring manager, both sides in one history:")
        out.print(get(f"/people/{played.hiring_manager_id}/history"), markup=False)
        out.print("  the candidate pipeline of a job order, in numbers:")
        out.print(get(f"/candidates/counts?job_order_id={played.job_order_id}"), markup=False)
        out.print("  what one of us owes today, and what came in by client:")
        out.print(get("/day?owner=consultant:ana"), markup=False)
        since = played.until - timedelta(days=365)
        out.print(get(f"/revenue?by=client&since={since}&until={played.until}"), markup=False)
        out.print("  a shortlist that a client looked at by its link, and what they said of each:")
        out.print(get(f"/shortlists/{played.shortlist_id}"), markup=False)
        out.print("  rebates and replacements that we owe, or gave:")
        out.print(get("/remedies"), markup=False)
        out.print("  the feed, as other services see it:")
    else:
        out.print("  the candidate pipeline:")
        out.print(get("/candidates/counts"), markup=False)
        if empty:
            out.print("  two years of an invented agency to look at:")
            out.print(f"    {program} demo", markup=False)
        else:
            out.print("  who waits for an answer from us, and who fell silent:")
            out.print(f"    {program} read engagement", markup=False)
        out.print("  the feed, as other services see it:")
    out.print(f"    {program} events tail", markup=False)
    out.print("\nCtrl-C stops it.")
    sys.stdout.flush()


def _program() -> str:
    """How this program was called, so that the line can be pasted."""
    called = sys.argv[0]
    return quote(called) if os.sep in called and "__main__" not in called else "ledger-crm"


def _say(line: str) -> None:
    print(f"ledger-crm: {line}", flush=True)


def _given(fd: int) -> socket.socket:
    """Raises Fault if it is no socket."""
    try:
        return socket.socket(fileno=fd)
    except OSError as fault:
        raise Fault(f"--fd {fd} is no socket to listen on ({fault.strerror})") from None


def _listening(host: str, port: int) -> socket.socket:
    """Raises Fault if the port is taken."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with ExitStack() as unless_it_listens:
            listening = unless_it_listens.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(WAITING)
            unless_it_listens.pop_all()
            return listening
    except UnicodeError:  # no host name: an empty part, or a long one
        raise Fault(f"{host} is no host name: set LEDGER_HOST to one, or to 127.0.0.1") from None
    except OSError as fault:
        unknown = isinstance(fault, socket.gaierror) or fault.errno == errno.EADDRNOTAVAIL
        wrong, instead = (
            (f"{host} is no address of this machine", "set LEDGER_HOST to one, such as 127.0.0.1")
            if unknown
            else (f"port {port} of {host} cannot be used", "set LEDGER_PORT, or --port 0 for any")
        )
        raise Fault(f"{wrong} ({fault.strerror}): {instead}") from None


def _for_url(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 where it listens, not where to call it
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


async def _serve(ledger: Ledger, chosen: Settings, door: socket.socket | None) -> None:
    import uvicorn

    from ledger_crm.api.app import create_app
    from ledger_crm.api.caller import Terms
    from ledger_crm.api.serving import InOnePiece
    from ledger_crm.api.snapshots import open_pool
    from ledger_crm.vault import Vault
    from ledger_crm.workers import feed
    from ledger_crm.workers.listening import listen

    assert chosen.database_url
    broker = (
        asyncio.create_task(feed.connect(chosen.nats_url, name="api")) if chosen.nats_url else None
    )

    async def feed_position() -> int:
        if broker is None or not broker.done():
            raise ConnectionError("no broker")
        return await feed.position(broker.result(), timeout_s=0.5)

    terms = Terms(
        secure=not chosen.on_this_machine,
        url=chosen.url,
        oidc_issuer=chosen.oidc_issuer,
        oidc_client_id=chosen.oidc_client_id,
        oidc_client_secret=chosen.oidc_client_secret,
        session_idle_s=chosen.session_idle_minutes * 60,
        session_lifetime_s=chosen.session_lifetime_hours * 3600,
        requests_a_minute=chosen.requests_a_minute,
        wrong_passwords=chosen.wrong_passwords,
        wrong_from_network=chosen.wrong_passwords_from_network,
        wrong_keys=chosen.wrong_keys_from_network,
        locked_s=chosen.lock_out_minutes * 60,
        remembered_days=chosen.access_log_days,
        webhook_targets=chosen.webhook_targets,
    )
    async with open_pool(chosen.database_url) as pool:
        app = create_app(
            ledger=ledger,
            pool=pool,
            feed_position=feed_position,
            body_limit_bytes=chosen.body_limit_bytes,
            vault=Vault(storage_at(chosen.vault, private=True)),
            terms=terms,
        )
        config = uvicorn.Config(
            app,
            host=chosen.host,
            port=chosen.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=KEPT_S,
            http=InOnePiece,
            ws="none",  # whatever else is installed
        )
        server = uvicorn.Server(config)
        # Its own handlers end the process by the signal, before anything is closed.
        server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]

        def stop() -> None:
            server.force_exit = server.should_exit
            server.should_exit = True
            app.state.equipment.tide.stop()

        tide = app.state.equipment.tide
        for hint in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(hint, stop)
        listening = asyncio.create_task(listen(chosen.database_url, tide.wake))
        try:
            await server.serve([door] if door else None)
            await app.state.equipment.callers.visits.settled()
        finally:
            await ended(listening)
            if broker is not None:
                await _closed(broker)


async def _closed(broker: asyncio.Task[Client]) -> None:
    """Also one that is still trying to connect."""
    broker.cancel()
    with suppress(asyncio.CancelledError, Exception):
        async with asyncio.timeout(1):
            await (await broker).close()


def _project(ledger: Ledger, url: str) -> None:
    from ledger_crm.workers.projector import Projector

    projector = Projector(
        url, lambda after, limit: ledger.store.entries(after=after, limit=limit), every()
    )
    for hint in (signal.SIGINT, signal.SIGTERM):
        signal.signal(hint, lambda *_: projector.stop())
    projector.run()


async def _relay(ledger: Ledger, url: str, nats_url: str) -> bool:
    """Whether it halted; if so, why is in the log."""
    from ledger_crm.workers import feed, relay
    from ledger_crm.workers.leadership import leadership

    stop, wake = asyncio.Event(), asyncio.Event()
    for hint in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(hint, stop.set)
    working = relay.Relay(
        lambda: feed.connect(nats_url, name="relay", reconnect=False),
        ledger.rows,
        stop=stop,
        wake=wake,
        leadership=lambda: leadership(url, "relay", wake),
    )
    try:
        await working.run()
    except feed.Halted as fault:
        structlog.get_logger("relay").error("halted", why=str(fault))
        return True
    return False


async def _send_webhooks(ledger: Ledger, chosen: Settings) -> bool:
    """As ``_relay``."""
    from ledger_crm.workers import feed, webhooks
    from ledger_crm.workers.leadership import leadership

    assert chosen.database_url
    url, stop, wake = chosen.database_url, asyncio.Event(), asyncio.Event()
    for hint in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(hint, stop.set)
    working = webhooks.Webhooks(
        url,
        ledger,
        stop=stop,
        wake=wake,
        leadership=lambda: leadership(url, "webhooks", wake),
        targets=chosen.webhook_targets,
    )
    try:
        await working.run()
    except feed.Halted as fault:
        structlog.get_logger("webhooks").error("halted", why=str(fault))
        return True
    return False
