//! Errors with their causes, for people.

/// An error with its causes, in one line.
pub(crate) struct WithCauses<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// `Debug` of errors: what Rust prints where `main` returns one is for people.
macro_rules! debug_with_causes {
    ($($ty:ty),* $(,)?) => {$(
        impl ::std::fmt::Debug for $ty {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&$crate::error::WithCauses(self), f)
            }
        }
    )*};
}
pub(crate) use debug_with_causes;
