"""What a client is told besides its URL and its handler."""

from __future__ import annotations

import ssl
from typing import TypedDict

from msip.client.credential import Credential
from msip.settings import ClientSettings


class ClientOptions(TypedDict, total=False):
    """The keywords of :class:`msip.Client`, for whoever hands them on to one."""

    credential: Credential | None
    settings: ClientSettings | None
    tls: ssl.SSLContext | None
    name: str
    version: str
