"""Token bytes → whole characters, with stop strings kept out of the answer."""

from __future__ import annotations

import codecs


class TextAssembler:
    """Joins the bytes of tokens to text that may be sent.

    A character whose bytes are split over tokens waits until it is whole; text that may be the
    beginning of a stop string waits until it is not. Bytes that belong to no character are
    dropped, so U+FFFD appears only where the model wrote it.
    """

    def __init__(self, stop: tuple[str, ...] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._stop = stop
        self._held = ""
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """Add a token's bytes; return what can be sent now. Sets ``stopped`` at a stop string."""
        self._held += self._decoder.decode(piece)
        if not self._stop:
            return self._release(len(self._held))
        ends = [at for at in map(self._held.find, self._stop) if at >= 0]
        if ends:
            self.stopped = True
            text = self._release(min(ends))
            self._held = ""
            return text
        return self._release(len(self._held) - self._doubtful())

    def flush(self) -> str:
        """Return what was held back, at the end of the answer; half a character is dropped."""
        return self._release(len(self._held))

    def _release(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        return text

    def _doubtful(self) -> int:
        """Length of the longest tail that could grow into a stop string."""
        longest = min(len(self._held), max(map(len, self._stop)) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
