//! The credential of a client, and where it comes from.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use crate::ConnectError;

/// The longest credential in bytes: a HELLO has 16 KiB for everything.
pub(super) const MAX_LEN: usize = 6 * 1024;

/// A key or a token by which a server knows a client: any bytes, at most 6 KiB.
///
/// `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Arc<[u8]>);

impl Credential {
    /// A credential of these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// A token or an API key, which is text.
    pub fn token(text: impl AsRef<str>) -> Self {
        Self::new(text.as_ref())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Credential {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Credential {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&[u8]> for Credential {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes)
    }
}

impl From<Vec<u8>> for Credential {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential(<{} bytes>)", self.0.len())
    }
}

/// What [`ClientBuilder::credential`](crate::ClientBuilder::credential) takes: a [`Credential`] or its bytes, or an async
/// function that is asked for one at each attempt to connect.
pub trait IntoCredential {
    #[doc(hidden)]
    fn into_source(self) -> CredentialSource;
}

/// Where a client's credential comes from.
#[derive(Clone, Default)]
#[doc(hidden)]
pub struct CredentialSource(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    None,
    Fixed(Credential),
    Function(Arc<dyn Fn() -> CredentialFuture + Send + Sync>),
}

type CredentialFuture =
    Pin<Box<dyn Future<Output = Result<Credential, Arc<dyn Error + Send + Sync>>> + Send>>;

impl CredentialSource {
    /// The credential to connect with; `None` where there is none.
    pub(super) async fn ask(&self) -> Result<Option<Credential>, ConnectError> {
        let credential = match &self.0 {
            Source::None => return Ok(None),
            Source::Fixed(credential) => credential.clone(),
            Source::Function(ask) => ask()
                .await
                .map_err(|source| ConnectError::Credential { source })?,
        };
        let len = credential.0.len();
        if len > MAX_LEN {
            return Err(ConnectError::CredentialTooLarge { len, max: MAX_LEN });
        }
        Ok(Some(credential))
    }

    /// Whether there is one.
    pub(super) fn is_some(&self) -> bool {
        !matches!(self.0, Source::None)
    }

    /// Whether asking again may yield another one.
    pub(super) fn may_change(&self) -> bool {
        matches!(self.0, Source::Function(_))
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::None => f.write_str("None"),
            Source::Fixed(credential) => credential.fmt(f),
            Source::Function(_) => f.write_str("Function"),
        }
    }
}

impl IntoCredential for Credential {
    fn into_source(self) -> CredentialSource {
        CredentialSource(Source::Fixed(self))
    }
}

macro_rules! of_bytes {
    ($($ty:ty),*) => {$(
        impl IntoCredential for $ty {
            fn into_source(self) -> CredentialSource {
                Credential::from(self).into_source()
            }
        }
    )*};
}
of_bytes!(&str, String, &[u8], Vec<u8>);

impl<F, Asking, C, E> IntoCredential for F
where
    F: Fn() -> Asking + Send + Sync + 'static,
    Asking: Future<Output = Result<C, E>> + Send + 'static,
    C: Into<Credential>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn into_source(self) -> CredentialSource {
        CredentialSource(Source::Function(Arc::new(move || {
            let asking = self();
            Box::pin(async move {
                match asking.await {
                    Ok(credential) => Ok(credential.into()),
                    Err(error) => Err(Arc::from(error.into())),
                }
            })
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_credential_is_never_shown() {
        let fixed = "hunter2".into_source();
        let function = (|| async { Ok::<_, std::io::Error>("hunter2") }).into_source();
        assert_eq!(
            format!("{fixed:?} {function:?}"),
            "Credential(<7 bytes>) Function"
        );
        for source in [fixed, function] {
            let credential = source.ask().await.unwrap().unwrap();
            assert_eq!(credential.as_bytes(), b"hunter2");
            assert!(!format!("{credential:?}").contains("hunter2"));
        }
        assert!(CredentialSource::default().ask().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_does_not_fit_and_what_fails_is_an_error() {
        let error = vec![b'x'; MAX_LEN + 1]
            .into_source()
            .ask()
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "credential of 6145 bytes exceeds the limit of 6144"
        );
        let failing = || async { Err::<String, _>("the vault is sealed") };
        let error = failing.into_source().ask().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the client's credential could not be obtained"
        );
        assert_eq!(error.source().unwrap().to_string(), "the vault is sealed");
    }
}
