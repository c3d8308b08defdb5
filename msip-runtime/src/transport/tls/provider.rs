//! What all TLS of this crate is done with: the cryptography, the versions, and the roots of the platform.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::{
    self, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
};

/// The versions of TLS that are spoken, the newest first.
pub(super) static VERSIONS: &[&SupportedProtocolVersion] = &[
    &rustls::version::TLS13,
    #[cfg(feature = "tls12")]
    &rustls::version::TLS12,
];

/// The versions, for error texts.
pub(super) const VERSION_NAMES: &str = if cfg!(feature = "tls12") {
    "TLS 1.3 and 1.2"
} else {
    "TLS 1.3"
};

/// The one provider of cryptography. It is always named: a process that has two has no default one.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

/// Verifies certificates by the roots that the platform trusts, which are loaded once in a process.
pub(super) fn platform_verifier() -> Result<Arc<Verifier>, rustls::Error> {
    static VERIFIER: Mutex<Option<Arc<Verifier>>> = Mutex::new(None);
    // Nothing panics while it holds the lock. It is held while the roots are read, so that they are read once.
    let mut verifier = VERIFIER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verifier) = &*verifier {
        return Ok(Arc::clone(verifier));
    }
    let loaded = Arc::new(Verifier::new(provider())?);
    *verifier = Some(Arc::clone(&loaded));
    Ok(loaded)
}
