"""Zstandard files, read so that a file that was cut short is an error and not a shorter file."""

import io
from collections.abc import Buffer
from typing import IO, Any

from zstandard import ZstdDecompressor, ZstdError

BLOCK_BYTES = 1 << 16
"""Compressed bytes read at once."""


class ZstandardReader(io.RawIOBase):
    """The decompressed bytes of one or more Zstandard frames; the library's own reader ends silently in mid-frame.

    Raises:
        EOFError: on reading, where the file ends inside of a frame, or its data are damaged.
    """

    def __init__(self, compressed: IO[bytes]) -> None:
        self._compressed = compressed
        self._frame: Any = None
        self._unread = b""
        self._data = memoryview(b"")

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` as far as data are at hand; 0 is the end of the file."""
        while not self._data:
            block = self._unread or self._compressed.read(BLOCK_BYTES)
            if not block:
                if self._frame is not None:
                    raise EOFError("the last Zstandard frame is cut short")
                return 0
            self._decompress(block)
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._data))
        target[:size] = self._data[:size]
        self._data = self._data[size:]
        return size

    def _decompress(self, block: bytes) -> None:
        if self._frame is None:
            self._frame = ZstdDecompressor().decompressobj()
        try:
            self._data = memoryview(self._frame.decompress(block))
        except ZstdError as error:
            raise EOFError(str(error)) from error
        self._unread = self._frame.unused_data
        if self._frame.eof:
            self._frame = None
