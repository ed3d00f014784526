"""Forms with files (multipart/form-data, RFC 7578), read piece by piece and never written to disk.

What is too much is refused as soon as it has come in, not at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidRequest
from app.media.errors import TooManyImages
from app.media.picture import Upload, check_bytes
from app.media.policy import MediaPolicy
from app.web.schema import LONGEST_TEXT

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_FIELDS = frozenset({"images", "files"})
"""Fields whose files are the pictures of the question."""

_MOST_FIELDS = 64
_LONGEST_FIELD = 4 * LONGEST_TEXT
"""Bytes: a character takes four at most."""


@dataclass(slots=True)
class Form:
    """The content of a form: texts by field, and files."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Upload] = field(default_factory=list)


class FormReader:
    """Takes the body of a form as it comes in.

    ``write`` and ``close`` raise InvalidRequest, TooManyImages and ImageTooLarge.
    """

    def __init__(self, content_type: str, policy: MediaPolicy) -> None:
        self.form = Form()
        self._policy = policy
        self._whole = False
        self._parser = _parser(content_type, self)
        self._start()

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken() from error

    def close(self) -> Form:
        """The form, which must have come to its end."""
        if not self._whole:
            raise _broken()
        return self.form

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls as it goes."""
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    # ---------------------------------------------------------------- one part

    def _start(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._content = bytearray()
        self._field, self._is_file = "", False

    def _on_part_begin(self) -> None:
        self._start()
        if len(self.form.fields) + len(self.form.files) > _MOST_FIELDS:
            raise InvalidRequest("", f"The form has more than {_MOST_FIELDS} fields.")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if self._is_file and self._field not in FILE_FIELDS:
            reason = f"takes no file; files belong into {' or '.join(sorted(FILE_FIELDS))}"
            raise InvalidRequest(f"/{self._field[:100]}", reason)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]
        if self._is_file:
            self._check_count()
            check_bytes(len(self._content), self._policy)
        elif len(self._content) > _LONGEST_FIELD:
            raise InvalidRequest(f"/{self._field[:100]}", "is too long")

    def _check_count(self) -> None:
        count, most = len(self.form.files) + 1, self._policy.max_images
        if count > most:
            raise TooManyImages(count, most)

    def _on_part_end(self) -> None:
        content = bytes(self._content)
        if self._is_file:
            if content:  # browsers send an empty file where none was chosen
                mime = self._headers.get(b"content-type", b"").decode("latin-1")
                self.form.files.append(Upload(content, mime))
        else:
            self._put(content)

    def _put(self, content: bytes) -> None:
        name = self._field[:100]
        if self._field in self.form.fields:
            raise InvalidRequest(f"/{name}", "is there twice")
        try:
            self.form.fields[self._field] = content.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"/{name}", "is not text in UTF-8") from error

    def _on_end(self) -> None:
        self._whole = True


def _parser(content_type: str, reader: FormReader) -> MultipartParser:
    _, options = parse_options_header(content_type)
    if not (boundary := options.get(b"boundary")):
        raise _broken()
    try:
        return MultipartParser(boundary, reader.callbacks())
    except FormParserError as error:
        raise _broken() from error


def _broken() -> InvalidRequest:
    return InvalidRequest("", "The form is cut off or is no multipart/form-data with a boundary.")
