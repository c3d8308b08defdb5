//! How a program logs, by the names that its configuration has.

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// The one with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// All names that there are.
            pub fn names() -> &'static [&'static str] {
                &[$($text),*]
            }
        }
    };
}

named! {
    /// The form of the lines of a log.
    LogFormat {
        /// For people.
        #[default]
        Text = "text",
        /// An object for each line.
        Json = "json",
    }
}

named! {
    /// The severity of the lines of a log.
    LogLevel {
        /// Nothing is logged.
        Off = "off",
        /// What needs somebody.
        Error = "error",
        /// What may need somebody.
        Warn = "warn",
        /// Who comes and goes.
        #[default]
        Info = "info",
        /// More of each connection.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}
