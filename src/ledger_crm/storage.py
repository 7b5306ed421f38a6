"""Where bytes are kept under names: a folder, or a bucket of S3 or of what speaks as it does.

What is kept is there whole or not at all, and lasts when the call returns. Names are relative, with
slashes. Credentials and the address of a bucket's server are in the AWS_* variables that its own
tools read; nothing of them is in a word of ours.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Protocol

from .settings import bucket_server_fault

S3 = "s3://"
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")  # also file:/x, as a path has file:///x
RETRY_S = 20.0  # what is asked of a bucket is asked again for so long
RETRIES = 6


class StorageFault(Exception):
    """One line: what is wrong with where something is to be kept."""


class Storage(Protocol):
    """Raises StorageFault for what is wrong with a bucket, and OSError with a folder."""

    def get(self, name: str) -> bytes:
        """Raises FileNotFoundError."""

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """A file to read, for what may be large. Raises FileNotFoundError."""

    def put(self, name: str, content: bytes) -> None: ...

    @contextmanager
    def draft(self, hint: str, *, private: bool = False) -> Iterator[IO[bytes]]:
        """A file to write into, and to read, which is gone in the end unless it was kept.

        hint     tells it from others that are being written
        private  of a folder: its owner alone reads it
        """

    def keep(self, draft: IO[bytes], name: str) -> None: ...

    def drop(self, name: str) -> None:
        """Also if it is not there."""

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Of all that is kept the name and how many bytes it is, in no order; nothing is read."""

    def shelves(self) -> list[str]:
        """What names begin with, up to the first slash."""

    def within(self, shelf: str) -> Storage:
        """What lies under a name, as if it were all; nobody else reads it."""


def storage_at(place: str, *, private: bool = False) -> Storage:
    """A folder, or s3://bucket/prefix; of a folder ``private``, as of Files. Raises
    StorageFault."""
    if place.startswith(S3):
        return Bucket(place)
    if not place or ADDRESS.match(place):  # a mistyped address would be a folder of that name
        raise StorageFault(f"{place!r} is no place: name a folder, or s3://bucket/prefix")
    return Files(Path(place).expanduser().absolute(), private=private)


def must_be_folder(folder: Path) -> Path:
    """Where nothing but a folder will do. Raises StorageFault."""
    if ADDRESS.match(str(folder)):
        raise StorageFault(f"{folder} is an address: name a folder")
    return folder


class Files:
    """A folder. ``private``: its owner alone reads what is in it."""

    def __init__(self, folder: Path, *, private: bool = False) -> None:
        self.folder, self.private = folder, private

    def __str__(self) -> str:
        return str(self.folder)

    def get(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        with (self.folder / name).open("rb") as file:
            yield file

    def put(self, name: str, content: bytes) -> None:
        with self.draft(f"{name.rpartition('/')[2]}.{os.getpid()}.{os.urandom(4).hex()}") as file:
            file.write(content)
            self.keep(file, name)

    @contextmanager
    def draft(self, hint: str, *, private: bool = False) -> Iterator[IO[bytes]]:
        self._made(self.folder)
        path = self.folder / f".{hint}.new"
        try:
            opener = private_opener if private or self.private else None
            with open(path, "w+b", opener=opener) as file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    def keep(self, draft: IO[bytes], name: str) -> None:
        path = self.folder / name
        self._made(path.parent)
        draft.flush()
        os.fsync(draft.fileno())
        Path(draft.name).replace(path)
        for folder in {path.parent, self.folder}:
            hold(folder)

    def drop(self, name: str) -> None:
        with suppress(FileNotFoundError):
            (self.folder / name).unlink()

    def sizes(self) -> Iterator[tuple[str, int]]:
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # dropped meanwhile
                if path.is_file() and not path.name.startswith("."):
                    yield path.relative_to(self.folder).as_posix(), path.stat().st_size

    def shelves(self) -> list[str]:
        if not self.folder.exists():
            return []
        return [each.name for each in self.folder.iterdir() if not each.name.startswith(".")]

    def within(self, shelf: str) -> Files:
        return Files(self.folder / shelf, private=True)

    def _made(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700 if self.private else 0o777)


class Bucket:
    """Of S3. Large files go there in parts, which nobody sees before the last one is there."""

    def __init__(self, place: str) -> None:
        """Raises StorageFault for what is no address, in the AWS_* variables too, and if what
        speaks to it is not installed."""
        try:
            import obstore
            from obstore import exceptions, store
        except ImportError:
            raise StorageFault(
                f"{place}: install what speaks to S3: pip install 'ledger-crm[s3]'"
            ) from None
        name, _, path = place.removeprefix(S3).partition("/")
        self._place, self._prefix = place.rstrip("/"), path.strip("/")
        wrong = f"{place} is no address: write s3://bucket, or s3://bucket/prefix"
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
            raise StorageFault(wrong)
        if fault := bucket_server_fault():
            raise StorageFault(f"{place}: {fault}")
        self._obstore, self._fault = obstore, exceptions.BaseError
        try:
            self._store = store.S3Store(
                name,
                prefix=self._prefix or None,
                client_options={
                    "allow_http": True,  # if AWS_ENDPOINT_URL says so
                    "connect_timeout": "5s",
                    "timeout": "60s",
                },
                retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)},
            )
        except ValueError:  # .. in it, or what no name of S3's can hold
            raise StorageFault(wrong) from None
        except self._fault as said:
            raise StorageFault(f"{place}: {_says(str(said))}") from None

    def __str__(self) -> str:
        return self._place

    def get(self, name: str) -> bytes:
        with self._asking(name):
            return bytes(self._obstore.get(self._store, name).bytes())

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as file:
            with self._asking(name):
                for chunk in self._obstore.get(self._store, name).stream():
                    file.write(chunk)
            file.seek(0)
            yield file

    def put(self, name: str, content: bytes) -> None:
        with self._asking(name):
            self._obstore.put(self._store, name, content)

    @contextmanager
    def draft(self, hint: str, *, private: bool = False) -> Iterator[IO[bytes]]:
        with tempfile.NamedTemporaryFile(prefix=f"{hint}.") as file:
            yield file

    def keep(self, draft: IO[bytes], name: str) -> None:
        draft.flush()
        with self._asking(name):
            self._obstore.put(self._store, name, Path(draft.name))

    def drop(self, name: str) -> None:
        with suppress(FileNotFoundError), self._asking(name):
            self._obstore.delete(self._store, name)

    def sizes(self) -> Iterator[tuple[str, int]]:
        with self._asking(""):
            for page in self._obstore.list(self._store):
                yield from ((each["path"], each["size"]) for each in page)

    def shelves(self) -> list[str]:
        with self._asking(""):
            found = self._obstore.list_with_delimiter(self._store)
            paths = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        return [path.strip("/") for path in paths]

    def within(self, shelf: str) -> Bucket:
        return Bucket(f"{self._place}/{shelf}")

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        try:
            yield
        except (self._fault, FileNotFoundError) as fault:
            said = str(fault)
            if "NoSuchBucket" in said:
                raise StorageFault(f"{self}: there is no such bucket") from None
            if isinstance(fault, FileNotFoundError):
                raise FileNotFoundError(errno.ENOENT, "not there", f"{self}/{name}") from None
            raise StorageFault(f"{self}: {_says(said)}") from None
        except BaseException as panic:  # of Rust's: no Exception, and of no type that can be named
            if type(panic).__name__ != "PanicException":
                raise
            raise StorageFault(f"{self}: {NO_VALUE}") from None


NO_VALUE = "one of the AWS_* variables holds what cannot be sent: a space, or a line break"


def _says(said: str) -> str:
    """What it means, and what to do; the library's own words are many lines."""
    if missing := re.search(r"Missing(SecretAccessKey|AccessKeyId)", said):
        name = {"AccessKeyId": "AWS_ACCESS_KEY_ID"}.get(missing[1], "AWS_SECRET_ACCESS_KEY")
        return f"{name} is not set, and the other one is: set both, or neither"
    if "169.254.169.254" in said:  # asked of the machine, where no others are set
        return "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    status = re.search(r"status code: (\d+ [A-Za-z ]+)", said)
    code = re.search(r"<Code>(\w+)</Code>", said)
    if status and status[1][:3] in ("401", "403"):
        why = f" ({code[1]})" if code else ""
        return (
            f"it is refused{why}: are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY those of somebody"
            " who may read, write and list there?"
        )
    if status and status[1][:3] in ("301", "400"):
        why = f" ({code[1]})" if code else ""
        return f"it answers {status[1]}{why}: are AWS_REGION and AWS_ENDPOINT_URL right?"
    if status:
        return f"it answers {status[1]}, again and again: try again later"
    return "it does not answer: is AWS_ENDPOINT_URL right?"


def private_opener(path: str, flags: int) -> int:
    """Also of a file that was left there by whoever was killed."""
    file = os.open(path, flags, 0o600)
    os.fchmod(file, 0o600)
    return file


def hold(folder: Path) -> None:
    """What was renamed in it stays so when the power fails, before anything that comes after."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
