//! Macros that include generated code.

/// Includes the code that `msip-codegen` generated for the protocol of this package.
///
/// The items are defined where the macro is invoked, usually in a module of their own:
///
/// ```ignore
/// pub mod chat {
///     msip_runtime::include_protocol!("chat");
/// }
/// ```
#[macro_export]
macro_rules! include_protocol {
    ($package:tt) => {
        ::core::include!(::core::concat!(
            ::core::env!("OUT_DIR"),
            "/msip/",
            $package,
            ".rs"
        ));
    };
}

/// Includes every package that `msip-codegen` generated, each in a module of its name: for protocols that share
/// packages.
#[macro_export]
macro_rules! include_protocols {
    () => {
        ::core::include!(::core::concat!(
            ::core::env!("OUT_DIR"),
            "/msip/packages.rs"
        ));
    };
}
