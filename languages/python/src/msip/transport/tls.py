"""TLS by the standard library: contexts from settings, and what goes wrong in words (docs/transports.md, "TLS")."""

from __future__ import annotations

import os
import ssl

from msip.settings import ClientSettings, ServerSettings, SettingError
from msip.transport.stream import CertificateNames

_OTHER_PROTOCOL = "NO_APPLICATION_PROTOCOL"
_EXPIRED = 10
_NOT_YET_VALID = 9
_WRONG_NAMES = (62, 64)
_UNKNOWN_ISSUERS = (18, 19, 20, 21)


def client_context(settings: ClientSettings, scheme: str) -> ssl.SSLContext:
    """How a client with these settings speaks TLS: 1.3, with the server's name checked.

    Raises:
        SettingError: a file cannot be used.
    """
    context = ssl.create_default_context()
    if settings.ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load_authorities(context, "ca", settings.ca)
    if settings.cert is not None or settings.key is not None:
        _load_certificate(context, settings.cert, settings.key, "a client with a key needs its certificate too")
    _finish(context, scheme)
    return context


def server_context(settings: ServerSettings, scheme: str) -> ssl.SSLContext:
    """How a server with these settings speaks TLS.

    Raises:
        SettingError: a file is missing, or cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_certificate(context, settings.cert, settings.key, "a server over TLS needs one")
    is_asked = settings.client_auth != "none" or settings.client_ca is not None
    if is_asked:
        if settings.client_ca is None:
            raise SettingError("setting `client_ca` is missing: `client_auth` needs those who may issue certificates")
        _load_authorities(context, "client_ca", settings.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL if settings.client_auth == "ask" else ssl.CERT_REQUIRED
    _finish(context, scheme)
    return context


def _finish(context: ssl.SSLContext, scheme: str) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1" if scheme == "wss" else "msip/1"])
    # The same certificates are good in every version of Python: from 3.13 on it is stricter by default.
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT


def _load_authorities(context: ssl.SSLContext, name: str, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:
        raise _unusable(name, path, error, "it holds no certificate") from error


def _load_certificate(context: ssl.SSLContext, cert: str | None, key: str | None, needed: str) -> None:
    for name, value in (("cert", cert), ("key", key)):
        if value is None:
            raise SettingError(f"setting `{name}` is missing: {needed}")
        if not os.path.isfile(value):
            raise SettingError(f"setting `{name}`: `{value}` cannot be used: there is no such file")
    assert cert is not None and key is not None

    def password() -> str:
        raise SettingError(f"setting `key`: `{key}` cannot be used: it is encrypted")

    try:
        context.load_cert_chain(cert, key, password=password)
    except OSError as error:
        name, path = ("key", key) if "KEY" in (getattr(error, "reason", None) or "") else ("cert", cert)
        raise _unusable(name, path, error, "it holds no usable certificate and key") from error


def _unusable(name: str, path: str, error: OSError, otherwise: str) -> SettingError:
    if isinstance(error, ssl.SSLError):
        why = f"{otherwise} ({error.reason})" if error.reason else otherwise
    else:
        why = error.strerror or str(error)
    return SettingError(f"setting `{name}`: `{path}` cannot be used: {why}")


def in_words(error: ssl.SSLError, scheme: str, name: str) -> str:
    """What is wrong between this client and a server at a URL of this scheme, and what to do; `name` is what the certificate had to
    be for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_in_words(error, name)
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE", "HTTP_REQUEST"):
        plain = "ws" if scheme == "wss" else "tcp"
        return (
            f"the server does not speak TLS: have it listen at {scheme}://, or connect to {plain}:// where the network between is"
            " trusted"
        )
    if _OTHER_PROTOCOL in reason:
        return "the server speaks TLS, and not this protocol over it (ALPN)"
    if "CERTIFICATE_REQUIRED" in reason:
        return "the server requires a client certificate: set `cert` and `key`"
    if "ALERT_PROTOCOL_VERSION" in reason or reason == "UNSUPPORTED_PROTOCOL":
        return "the server speaks no version of TLS that this client does (1.3)"
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        why = "who has issued it is not trusted there" if "UNKNOWN_CA" in reason else reason.lower().replace("_", " ")
        return f"the server refused the client certificate: {why}"
    return f"TLS failed: {reason.lower().replace('_', ' ') or error}"


def _certificate_in_words(error: ssl.SSLCertVerificationError, name: str) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the server's certificate has expired: renew it (or this machine's clock is wrong)"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not valid yet: this machine's clock is wrong, or that of the one on which it was made"
    if code in _WRONG_NAMES:
        return f'the server\'s certificate is not for "{name}": connect by a name that it has, or set `server_name`'
    if code in _UNKNOWN_ISSUERS:
        return (
            "the server's certificate was issued by nobody who is trusted here: set `ca` to the certificate of who has"
            " issued it (of a self-signed one, to itself)"
        )
    return f"the server's certificate is not valid: {error.verify_message}"


def names_of(tls: object) -> CertificateNames | None:
    """The names in the certificate that the peer of an `SSLObject` has shown, and that was verified."""
    getpeercert = getattr(tls, "getpeercert", None)
    certificate = getpeercert() if getpeercert is not None else None
    if not certificate:
        return None
    return CertificateNames(tuple((str(kind), str(name)) for kind, name in certificate.get("subjectAltName", ())))
