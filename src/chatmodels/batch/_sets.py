"""Sets of many members in little memory: whole numbers as bits, and keys in a Bloom filter. Values only."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence


class Bits:
    """A set of whole numbers, one bit each, counted from `first`."""

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self._bytes = bytearray()

    def add(self, number: int) -> None:
        at, bit = divmod(number - self._first, 8)
        if at >= len(self._bytes):
            self._bytes.extend(bytes(at + 1 - len(self._bytes) + len(self._bytes) // 2))
        self._bytes[at] |= 1 << bit

    def __contains__(self, number: int) -> bool:
        at, bit = divmod(number - self._first, 8)
        return 0 <= at < len(self._bytes) and bool(self._bytes[at] & (1 << bit))


#: Two bits of a word of 64, for each number of twelve bits.
_TWO_BITS = [(1 << (i & 63)) | (1 << (i >> 6)) for i in range(4096)]
#: Words in the first table and in the largest; keys for each word (16 bits a key: about one stranger in 150 is taken for a member).
_LEAST, _LARGEST, _KEYS_A_WORD = 1 << 14, 1 << 22, 4


class Filter:
    """A Bloom filter: it finds every key that was added, and takes few others for one. It grows by tables, each four times the
    size, so that it takes two to three bytes a key from the first hundred thousand on."""

    def __init__(self) -> None:
        self._tables: list[tuple[array[int], int]] = []
        self._room = 0

    def add_all(self, keys: Sequence[bytes]) -> None:
        at = 0
        while at < len(keys):
            if not self._room:
                self._grow()
            some = keys[at : at + self._room]
            words, mask = self._tables[-1]
            for key in some:
                h = hash(key)
                words[(h >> 24) & mask] |= _TWO_BITS[h & 4095] | _TWO_BITS[(h >> 12) & 4095]
            self._room -= len(some)
            at += len(some)

    def _grow(self) -> None:
        size = min(_LARGEST, 4 * len(self._tables[-1][0])) if self._tables else _LEAST
        self._tables.append((array("Q", bytes(8 * size)), size - 1))
        self._room = size * _KEYS_A_WORD

    def members(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those that were added, and perhaps a few more."""
        found: list[bytes] = []
        tables = self._tables
        for key in keys:
            h = hash(key)
            bits, at = _TWO_BITS[h & 4095] | _TWO_BITS[(h >> 12) & 4095], h >> 24
            for words, mask in tables:
                if words[at & mask] & bits == bits:
                    found.append(key)
                    break
        return found
