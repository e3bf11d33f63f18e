"""Text files: which encoding they are in, whether their quotation marks come in pairs, and their text as UTF-8."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from chassis.errors import PermanentError
from services.ingest.sources.files.delivery import BLOCK_BYTES, blocks

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SINGLE_BYTE = "cp1252"
_LINE_ENDS = b"\r\n"
_LINE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Examined:
    """A text file that was read through once: every byte of it makes sense."""

    encoding: str
    sha256: str


class QuoteScan:
    """Follows quotation marks through a file: one that neither opens, closes nor doubles would swallow rows.

    In a sound file every other mark opens a field, so it stands at a field's start or doubles the one before it; the
    others close one, so a field's end or another mark follows.
    """

    def __init__(self, delimiter: str, quote: str) -> None:
        self.quote = ord(quote)
        self.edges = np.frombuffer(f"{delimiter}{quote}".encode() + _LINE_ENDS, np.uint8)
        self.marks = 0
        self.opened_in = 1
        self.lines = 0
        self.tail = b"\n"

    def feed(self, data: bytes) -> int | None:
        """Take the next bytes; returns the number of the line with the first stray mark."""
        text = np.frombuffer(self.tail + data, np.uint8)
        if text.size < 3:
            self.tail = text.tobytes()
            return None
        places = np.flatnonzero(text[1:-1] == self.quote) + 1
        is_opening = (np.arange(self.marks, self.marks + places.size) & 1) == 0
        neighbours = np.where(is_opening, text[places - 1], text[places + 1])
        stray = places[~np.isin(neighbours, self.edges)]
        ends = text[1:-1] == ord("\n")
        if stray.size:
            return self.lines + int(ends[: stray[0] - 1].sum()) + 1
        if is_opening.any():
            self.opened_in = self.lines + int(ends[: places[is_opening][-1] - 1].sum()) + 1
        self.marks += places.size
        self.lines += int(ends.sum())
        self.tail = text[-2:].tobytes()
        return None

    def finish(self) -> int | None:
        """At the end of the file: the line in which a quotation was opened that is open still."""
        stray = self.feed(b"\n\n")
        return stray if stray is not None or self.marks % 2 == 0 else self.opened_in


def examine(path: Path, encoding: str | None, scan_by: tuple[str, str] | None = None) -> Examined:
    """Read the file through; `scan_by` are delimiter and quote where quotation marks mean something.

    Raises:
        PermanentError: `source_encoding_wrong`, `source_line_broken`.
    """
    chosen = _known(path, encoding) if encoding is not None else _marked(path)
    try:
        return _examine(path, chosen or "utf-8", scan_by)
    except UnicodeDecodeError as error:
        if chosen is not None:
            raise _misspelt(path, error) from None
    try:
        return _examine(path, _SINGLE_BYTE, scan_by)
    except UnicodeDecodeError as error:
        raise _misspelt(path, error) from None


def _misspelt(path: Path, error: UnicodeDecodeError) -> PermanentError:
    return PermanentError("source_encoding_wrong", f"{path.name} is not {error.encoding}: {error.reason}")


def _known(path: Path, encoding: str) -> str:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise PermanentError("source_encoding_wrong", f"{path.name}: there is no encoding {encoding}") from None
    return (_marked(path) or name) if name == "utf-8" else name


def _marked(path: Path) -> str | None:
    """The encoding that the file's first bytes name."""
    with path.open("rb") as file:
        first = file.read(4)
    return next((name for mark, name in _MARKS if first.startswith(mark)), None)


def _examine(path: Path, encoding: str, scan_by: tuple[str, str] | None) -> Examined:
    found, decoder = sha256(), codecs.getincrementaldecoder(encoding)()
    scan = QuoteScan(*scan_by) if scan_by else None
    with path.open("rb") as file:
        for number, block in enumerate(blocks(file)):
            found.update(block)
            text = decoder.decode(block)
            if number == 0 and _is_of_two_bytes(text):
                raise PermanentError(
                    "source_encoding_wrong",
                    f"{path.name} looks like UTF-16 without a mark: file_format.encoding says which (utf-16-le)",
                )
            _check(path, text, scan)
    _check(path, decoder.decode(b"", final=True), scan)
    if scan is not None and (line := scan.finish()) is not None:
        raise _stray(path, line)
    return Examined(encoding, found.hexdigest())


def _is_of_two_bytes(text: str) -> bool:
    """Whether every other character is a NUL: these are bytes of UTF-16 that were taken for characters."""
    few, many = sorted((text[::2].count("\0"), text[1::2].count("\0")))
    return many * 4 > len(text) and few * 10 < many


def _check(path: Path, text: str, scan: QuoteScan | None) -> None:
    if scan is not None and (line := scan.feed(text.encode())) is not None:
        raise _stray(path, line)


def _stray(path: Path, line: int) -> PermanentError:
    return PermanentError(
        "source_line_broken",
        f"line {line} of {path.name} has a quotation mark that neither opens, closes nor doubles one"
        " (file_format.quote says which character it is; empty: none)",
        details={"file": path.name, "line": line},
    )


class Utf8File(io.RawIOBase):
    """A file's text as UTF-8, without a byte-order mark and with an end to its last line.

    `sha256` is of the bytes that were really read.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self._file = path.open("rb")
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._is_plain = encoding == "utf-8"
        self._rest = b""
        self._last = b"\n"
        self._is_at_end = False
        self._hash = sha256()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end."""
        while not self._rest and not self._is_at_end:
            self._rest = self._next(len(buffer))
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def _next(self, size: int) -> bytes:
        block = self._file.read(size)
        self._hash.update(block)
        self._is_at_end = not block
        text = block if self._is_plain else self._decoder.decode(block, final=not block).encode()
        if not block and self._last not in _LINE_ENDS:
            text += b"\n"  # without it Arrow takes an empty last field for quoted where the one before it was
        self._last = text[-1:] or self._last
        return text

    def lines(self) -> Iterator[list[str]]:
        """Lines without their ends, some thousands at a time; only CRLF and LF end a line."""
        open_line = b""
        while block := self.read(BLOCK_BYTES):
            complete, end, open_line = (open_line + block).rpartition(b"\n")
            if len(open_line) > _LINE_BYTES:
                raise PermanentError("source_line_broken", f"a line of more than {_LINE_BYTES:,} bytes")
            if end:
                yield [line.removesuffix("\r") for line in complete.decode().split("\n")]
        if open_line:
            yield [open_line.decode().removesuffix("\r")]

    @property
    def sha256(self) -> str:
        """In hexadecimal digits, over what was read so far."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
