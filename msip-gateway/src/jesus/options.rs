//! The settings of a gateway with the interface of jesus.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{background::Background, methods::Methods, upload::Uploads};

/// The interface of jesus: its methods are at `/<method>`, beside the paths of the gateway.
///
/// ```no_run
/// use std::time::Duration;
/// use msip_gateway::{ProtocolModel, jesus::{JesusOptions, Methods}};
///
/// let models = ProtocolModel::from_protos(&["proto/shop.proto"], &["proto"])?;
/// let methods = Methods::read(&models, "methods.json".as_ref(), true)?;
/// let jesus = JesusOptions::public(methods).stream_limit(Duration::from_secs(60)).max_file(1 << 20);
/// # let _ = jesus;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JesusOptions(Arc<Settings>);

/// What all requests share.
#[derive(Clone)]
pub(super) struct Settings {
    /// Replaced where their file is read again.
    methods: watch::Sender<Methods>,
    pub(super) is_public: bool,
    pub(super) has_envelope: bool,
    pub(super) stream_limit: Duration,
    pub(super) uploads: Uploads,
    pub(super) background: Arc<Background>,
}

impl JesusOptions {
    /// A gateway for anyone, which has the methods that are public and no others: jesus' `httpPublic`.
    #[must_use]
    pub fn public(methods: Methods) -> Self {
        Self::new(methods, true)
    }

    /// A gateway among services, which has all methods: jesus' `http` and `socket`.
    #[must_use]
    pub fn private(methods: Methods) -> Self {
        Self::new(methods, false)
    }

    fn new(methods: Methods, is_public: bool) -> Self {
        Self(Arc::new(Settings {
            methods: watch::Sender::new(methods),
            is_public,
            has_envelope: false,
            stream_limit: Duration::from_secs(120),
            uploads: Uploads {
                types: ["image/png", "image/jpeg"].map(str::to_owned).to_vec(),
                max_file: 5 << 20,
                max_total: 10 << 20,
                max_files: 8,
            },
            background: Arc::new(Background::new()),
        }))
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// Also takes messages in the envelope of jesus' `socket`: `{"method", "data", "meta"}` at `/_httpMessage`, and at
    /// `/_httpMessageStream` for streams. It is for a gateway at a Unix socket.
    #[must_use]
    pub fn envelope(self) -> Self {
        self.with(|settings| settings.has_envelope = true)
    }

    /// How long a stream may take; then it is ended with an error. Default 120 s.
    #[must_use]
    pub fn stream_limit(self, limit: Duration) -> Self {
        self.with(|settings| settings.stream_limit = limit)
    }

    /// The MIME types of files that may be uploaded, which their signature has to show: `image/png` and `image/jpeg` unless told
    /// otherwise.
    #[must_use]
    pub fn file_types<T: Into<String>>(self, types: impl IntoIterator<Item = T>) -> Self {
        self.with(|settings| settings.uploads.types = types.into_iter().map(Into::into).collect())
    }

    /// The longest file, in bytes. Default 5 MiB.
    #[must_use]
    pub fn max_file(self, len: usize) -> Self {
        self.with(|settings| settings.uploads.max_file = len)
    }

    /// All that one request may upload, in bytes. Default 10 MiB.
    #[must_use]
    pub fn max_upload(self, len: usize) -> Self {
        self.with(|settings| settings.uploads.max_total = len)
    }

    /// The most files of one request. Default 8.
    #[must_use]
    pub fn max_files(self, count: usize) -> Self {
        self.with(|settings| settings.uploads.max_files = count)
    }

    /// Has these methods from now on, also at a gateway that serves. Exchanges that are open go on as they began.
    pub fn replace_methods(&self, methods: Methods) {
        self.0.methods.send_replace(methods);
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0
    }
}

impl Settings {
    /// The methods that there are now.
    pub(super) fn methods(&self) -> Methods {
        self.methods.borrow().clone()
    }
}

impl fmt::Debug for JesusOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JesusOptions")
            .field("is_public", &self.0.is_public)
            .field("has_envelope", &self.0.has_envelope)
            .finish_non_exhaustive()
    }
}
