"""What can go wrong between a hub and the models folder.

HubError
├── NotOnHub         no such repository or file, or it does not say which model is meant
├── NotAllowed       the repository wants an account, a token or its terms accepted
├── HubUnreachable   no network, a silent or broken server
├── NoSpace          the disk is too small
├── Damaged          what arrived is not what the hub announced
└── NameTaken        another model or another download has that name
"""

from __future__ import annotations

from app.provider.errors import ProviderError


class HubError(ProviderError):
    """Root of the tree; ``str()`` is one sentence fit for the user."""


class NotOnHub(HubError):
    """The repository or file does not exist on the hub."""


class NotAllowed(HubError):
    """The hub has the files and refuses them to this user."""


class HubUnreachable(HubError):
    """The hub did not answer, or its answer makes no sense; what has arrived is kept."""


class NoSpace(HubError):
    """The model does not fit onto the disk."""


class Damaged(HubError):
    """A file's checksum is wrong; the file has been deleted."""


class NameTaken(HubError):
    """Installing the model would replace or shadow another one."""
