"""Turns every exception of a library that loads a model into one sentence for the user.

An engine raises ModelNotLoadable where it knows the cause. All other exceptions that a foreign
file provokes in any library become one here.
"""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Iterator

from app.provider.errors import EngineUnavailable, ModelNotLoadable, ProviderError

_LONGEST = 500
"""Characters of a sentence. Some libraries list thousands of tensors in one message."""

_SCARCE = {
    errno.EACCES,
    errno.EAGAIN,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EPERM,
}
"""Errors of the system that may be gone when the same file is loaded again."""

_NO_MEMORY = re.compile(
    r"out of memory|bad_alloc|not enough memory|cannot allocate|can't allocate|failed to allocate",
    re.IGNORECASE,
)

_PATH = re.compile(r"(?<![\w/.~-])/((?:[^\s/'\"<>|:;,()\[\]]+/)+)([^\s/'\"<>|:;,()\[\]]*)")

_KILLED_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def load_failure(error: BaseException, path: str) -> ModelNotLoadable | EngineUnavailable:
    """Make the error that says why the model at ``path`` cannot be loaded, or not yet."""
    if isinstance(error, EngineUnavailable):
        return EngineUnavailable(sentence(error.reason, path), error.retry_after)
    return refusal(error, path)


def refusal(error: BaseException, path: str) -> ModelNotLoadable:
    """Make the error that says why the model at ``path`` cannot be loaded."""
    return ModelNotLoadable(sentence(_reason(error), path), not _is_of_this_machine(error))


def crash(exit_code: int) -> ModelNotLoadable | None:
    """Make the error of a library's crash while loading; None for a process that was killed."""
    if -exit_code in _KILLED_FROM_OUTSIDE:
        return None
    if exit_code >= 0:
        how = f"the process ended with exit code {exit_code}"
    else:
        how = _signal_name(-exit_code)
    return ModelNotLoadable(
        f"The library that runs this model crashed while loading it ({how}): the file is damaged "
        "or is not supported."
    )


def sentence(text: str, path: str = "") -> str:
    """Make one short line of a library's message, without paths of this machine.

    It has no NUL and no half of a surrogate pair, so that it can be stored and sent.
    """
    text = " ".join(_without_paths(text[: 20 * _LONGEST], path).split())
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _reason(error: BaseException) -> str:
    match error:
        case ProviderError():
            return str(error)
        case MemoryError():
            return "There is not enough memory to load this model."
        case ImportError():
            return f"The engine of this model cannot be started: {error}."
    return f"The model cannot be loaded: {_cause(error)}"


def _cause(error: BaseException) -> str:
    match error:
        case RecursionError():
            return "something in its files is nested too deeply."
        case UnicodeError():
            return "one of its text files is not valid UTF-8."
        case KeyError():
            return f"its files do not say {error}."
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _is_of_this_machine(error: BaseException) -> bool:
    """Whether the cause is the machine, so that the same file may be loadable later.

    An ImportError further down the chain only says that a library does not know the model type.
    """
    return (
        isinstance(error, ImportError)
        or isinstance(error.__cause__, ImportError)
        or any(
            isinstance(one, MemoryError)
            or (isinstance(one, ModelNotLoadable) and not one.lasting)
            or (isinstance(one, OSError) and one.errno in _SCARCE)
            or bool(_NO_MEMORY.search(str(one)))
            for one in _causes(error)
        )
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and the chain of errors it was raised from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _without_paths(text: str, path: str) -> str:
    """Shorten every path of this machine to its last part.

    The model's own path may hold any character. Another text counts as a path only if it begins
    with a folder that exists here, because nodes of ONNX graphs are named like paths.
    """
    own = {path, os.path.realpath(path)} if path else set()
    for folder, name in sorted(map(os.path.split, own), key=lambda split: -len(split[0])):
        text = text.replace(os.path.join(folder, name), name)
        text = text.replace(f"{folder}/", "") if len(folder) > 1 else text
    here = set(os.listdir("/"))

    def shortened(found: re.Match[str]) -> str:
        folders = found[1].split("/")
        return (found[2] or folders[-2]) if folders[0] in here else found[0]

    return _PATH.sub(shortened, text)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
