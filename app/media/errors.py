"""What can be wrong with a picture that a client sends.

AppError                   app/errors.py
├── ImageTooLarge          a picture has more bytes or pixels than may be
├── TooManyImages          more pictures in one request than may be
├── ImageTypeNotSupported  a file is none of the five types of pictures
├── ImageTypeMismatch      a file is a picture of another type than was declared
├── ImageUnreadable        a picture is damaged, or not base64
├── ImagesBusy             too many pictures wait to be decoded
├── ImageUrlsOff           pictures are not fetched here (IMAGE_URLS)
├── ImageUrlRefused        the address of a picture is not one to fetch from
└── ImageUnreachable       the server of a picture does not answer, or not with one
"""

from __future__ import annotations

from app.errors import AppError


class ImageTooLarge(AppError):
    """A picture is larger than one may be, in bytes or pixels."""


class TooManyImages(AppError):
    """One request brings more pictures than it may."""

    def __init__(self, count: int, most: int) -> None:
        super().__init__(f"The request has {count} images; {most} are the most (MAX_IMAGES).")
        self.count = count
        self.most = most


class ImageTypeNotSupported(AppError):
    """A file's content is none of the types that are taken."""


class ImageTypeMismatch(AppError):
    """A file is not of the type that it was declared as."""

    def __init__(self, declared: str, found: str) -> None:
        super().__init__(f"The image is declared as {declared[:100]!r}, but it is {found}.")
        self.declared = declared
        self.found = found


class ImageUnreadable(AppError):
    """A picture cannot be decoded."""


class ImagesBusy(AppError):
    """As many pictures wait to be decoded as may."""

    retry_after = 2.0

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} images are waiting to be decoded: try again in a moment.")
        self.most = most


class ImageUrlsOff(AppError):
    """Pictures are not fetched by this server."""

    def __str__(self) -> str:
        return (
            "This server fetches no images: send the image as base64 (or set IMAGE_URLS=true "
            "on the server)."
        )


class ImageUrlRefused(AppError):
    """The address of a picture, or one that it leads on to, is not fetched from."""


class ImageUnreachable(AppError):
    """A picture could not be fetched."""
