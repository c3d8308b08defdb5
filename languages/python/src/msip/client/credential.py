"""The credential of a client: where it comes from. It is in no log and no error."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msip.errors import Code, ConnectError
from msip.settings import ClientSettings

_MAX_LEN = 6 * 1024

Credential: TypeAlias = str | bytes | Callable[[], str | bytes | Awaitable[str | bytes]]
"""Up to 6 KiB, or a function that is asked at each attempt to connect, `async` or not."""


class CredentialSource:
    """Yields the credential at each attempt to connect."""

    def __init__(self, credential: Credential | None, settings: ClientSettings) -> None:
        self._credential = credential
        self._file = settings.token_file
        self._variable = settings.token_env

    @property
    def is_fresh(self) -> bool:
        """Whether asking again may yield another one."""
        return self._file is not None or self._variable is not None or callable(self._credential)

    async def read(self) -> bytes:
        """The credential; empty where there is none.

        Raises:
            ConnectError: it cannot be had, or is too long.
        """
        try:
            found = await self._find()
        except ConnectError:
            raise
        except Exception as error:
            raise ConnectError(
                Code.UNAUTHENTICATED, f"the client's credential could not be obtained: {type(error).__name__}"
            ) from error
        data = found.encode() if isinstance(found, str) else bytes(found)
        if len(data) > _MAX_LEN:
            raise ConnectError(
                Code.INVALID_ARGUMENT, f"credential of {len(data)} bytes exceeds the limit of {_MAX_LEN}"
            )
        return data

    async def _find(self) -> str | bytes:
        if self._file is not None:
            with open(self._file, "rb") as file:
                return file.read().removesuffix(b"\n").removesuffix(b"\r")
        if self._variable is not None:
            value = os.environ.get(self._variable)
            if value is None:
                raise ConnectError(
                    Code.UNAUTHENTICATED, f"the client's credential could not be obtained: {self._variable} is not set"
                )
            return value
        if self._credential is None:
            return b""
        if callable(self._credential):
            found = self._credential()
            return await found if inspect.isawaitable(found) else found
        return self._credential
