"""One line on the terminal for a whole download: share, bytes, time left, speed."""

from __future__ import annotations

from huggingface_hub.utils.tqdm import tqdm


class ProgressBar:
    """A progress bar that is called with the bytes that have arrived; needs a terminal to show.

    ``size`` is None where it is not known.
    """

    def __init__(self, name: str, size: int | None) -> None:
        self._bar = tqdm(  # type: ignore[no-untyped-call]
            total=size, unit="B", unit_scale=True, desc=name[:40], disable=None
        )
        self._arrived: int | None = None

    def __call__(self, arrived: int) -> None:
        """Move the bar; bytes of earlier attempts do not count as speed."""
        if self._arrived is None:
            self._bar.initial = self._bar.n = arrived
            self._bar.refresh()
        else:
            self._bar.update(arrived - self._arrived)
        self._arrived = arrived

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
