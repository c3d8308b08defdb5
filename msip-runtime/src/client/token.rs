//! Tokens that a client reads from a file or from its environment, each time that it connects.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;

use super::credential::{Credential, CredentialSource, IntoCredential as _, MAX_LEN};
use crate::{SettingError, settings::TOKEN_SETTINGS, transport::ServiceUrl};

/// Where the URL of a client says that its credential is: `token_file`, or `token_env`. `None` where it says neither.
pub(super) fn source_of_url(url: &ServiceUrl) -> Result<Option<CredentialSource>, SettingError> {
    let mut given = url
        .settings()
        .iter()
        .filter(|(name, _)| TOKEN_SETTINGS.contains(&name.as_str()));
    let Some((name, value)) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        let [name, other] = TOKEN_SETTINGS;
        return Err(SettingError::Conflict { name, other });
    }
    let is_wrong = value.is_empty() || value.contains('\0');
    let malformed = |name, form| {
        Err(SettingError::Malformed {
            name,
            value: value.clone(),
            form,
        })
    };
    match name.as_str() {
        "token_file" if is_wrong => malformed("token_file", "the path of a file"),
        "token_file" => {
            let path: Arc<Path> = Path::new(value).into();
            Ok(Some(
                (move || token_from_file(Arc::clone(&path))).into_source(),
            ))
        }
        _ if is_wrong || value.contains('=') => {
            malformed("token_env", "the name of an environment variable")
        }
        _ => {
            let name: Arc<str> = value.as_str().into();
            Ok(Some(
                (move || token_from_env(Arc::clone(&name))).into_source(),
            ))
        }
    }
}

/// Why there is no token. None of it shows a byte of one.
#[derive(Debug, Error)]
pub(super) enum TokenError {
    #[error("the token file {path:?} cannot be read (token_file)")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the token file {path:?} has more than {MAX_LEN} bytes (token_file)")]
    TooLong { path: PathBuf },
    #[error("the token file {path:?} is empty (token_file)")]
    EmptyFile { path: PathBuf },
    #[error("the environment variable {name} is not set, or empty (token_env)")]
    NoVariable { name: Arc<str> },
}

/// The token in a file, without the line break at its end.
pub(super) async fn token_from_file(path: Arc<Path>) -> Result<Credential, TokenError> {
    let failed = |source| TokenError::File {
        path: path.to_path_buf(),
        source,
    };
    let reading = Arc::clone(&path);
    // It may be on a slow file system.
    let read = tokio::task::spawn_blocking(move || read_start(&reading)).await;
    let bytes = read.map_err(io::Error::other).and_then(|read| read);
    let bytes = bytes.map_err(failed)?;
    let token = without_line_break(&bytes);
    let path = || path.to_path_buf();
    match token.len() {
        0 => Err(TokenError::EmptyFile { path: path() }),
        1..=MAX_LEN => Ok(Credential::new(token)),
        _ => Err(TokenError::TooLong { path: path() }),
    }
}

/// The token in an environment variable.
pub(super) async fn token_from_env(name: Arc<str>) -> Result<Credential, TokenError> {
    match std::env::var_os(&*name) {
        Some(token) if !token.is_empty() => Ok(Credential::new(token.as_encoded_bytes())),
        _ => Err(TokenError::NoVariable { name }),
    }
}

/// As much of a file as tells whether it is too long.
fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    // A line break, and one byte too many.
    const MAX_READ: u64 = MAX_LEN as u64 + 3;
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn without_line_break(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n");
    line.map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_of(query: &str) -> Result<Option<CredentialSource>, SettingError> {
        source_of_url(&format!("mem://x?{query}").parse().unwrap())
    }

    fn source(query: &str) -> Option<CredentialSource> {
        source_of(query).unwrap()
    }

    /// A file that is removed with this.
    struct TokenFile(PathBuf);

    impl TokenFile {
        fn new(name: &str) -> Self {
            let name = format!("msip-token-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn write(&self, token: impl AsRef<[u8]>) {
            std::fs::write(&self.0, token).unwrap();
        }

        fn source(&self) -> CredentialSource {
            source(&format!("token_file={}", self.0.display())).unwrap()
        }
    }

    impl Drop for TokenFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    async fn asked(source: &CredentialSource) -> Vec<u8> {
        let credential = source.ask().await.unwrap().unwrap();
        credential.as_bytes().to_vec()
    }

    #[tokio::test]
    async fn a_file_is_read_anew_each_time_and_its_line_break_is_no_part_of_the_token() {
        let file = TokenFile::new("anew");
        let source = file.source();
        assert!(source.may_change());
        for (written, token) in [
            ("first", "first"),
            ("second\n", "second"),
            ("third\r\n", "third"),
            (" with spaces \n\n", " with spaces \n"),
        ] {
            file.write(written);
            assert_eq!(asked(&source).await, token.as_bytes());
        }
        let longest = "x".repeat(MAX_LEN);
        for line_break in ["", "\n", "\r\n"] {
            file.write(format!("{longest}{line_break}"));
            assert_eq!(asked(&source).await, longest.as_bytes());
        }
    }

    #[tokio::test]
    async fn a_file_without_a_token_is_an_error_that_names_it_and_shows_nothing_of_it() {
        let file = TokenFile::new("wrong");
        let source = file.source();
        let error = async || {
            let error = source.ask().await.unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            std::error::Error::source(&error).unwrap().to_string()
        };
        let path = &file.0;
        let told = |rest: &str| format!("the token file {path:?} {rest} (token_file)");
        assert_eq!(error().await, told("cannot be read"));
        file.write("\n");
        assert_eq!(error().await, told("is empty"));
        for len in [MAX_LEN + 1, 10 * MAX_LEN] {
            file.write(&"hunter2".repeat(len).as_bytes()[..len]);
            assert_eq!(error().await, told("has more than 6144 bytes"));
        }
    }

    #[tokio::test]
    async fn a_variable_of_the_environment_is_a_source_too() {
        // Cargo sets it.
        let name = source("token_env=CARGO_PKG_NAME").unwrap();
        assert_eq!(asked(&name).await, b"msip-runtime");
        let error = source("token_env=MSIP_NO_SUCH_VARIABLE").unwrap();
        let error = error.ask().await.unwrap_err();
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "the environment variable MSIP_NO_SUCH_VARIABLE is not set, or empty (token_env)"
        );
    }

    #[test]
    fn a_path_and_a_name_are_needed() {
        let error = |query| source_of(query).unwrap_err().to_string();
        assert_eq!(
            error("token_file="),
            "setting `token_file`: expected the path of a file, found ``"
        );
        assert_eq!(
            error("token_env=A%3DB"),
            "setting `token_env`: expected the name of an environment variable, found `A=B`"
        );
        assert_eq!(
            error("token_env=A&token_file=b"),
            "settings `token_file` and `token_env`: give one of them"
        );
        assert!(source("codec=json").is_none());
    }
}
