//! The words that a name is made of: how pairs and kinds are found by name.

use heck::ToSnakeCase as _;

/// The words of a name in lower case with `_` between them: `ConnectReq` and `connect_req` are the same.
pub(crate) fn words(name: &str) -> String {
    name.to_snake_case()
}

/// The words of the response that completes a pair: `connect_rsp` for `connectReq`, and none for a name that does
/// not end with the word `req`.
pub(crate) fn response_words(request: &str) -> Option<String> {
    let name = words(request);
    let stem = name
        .strip_suffix("req")
        .filter(|stem| stem.is_empty() || stem.ends_with('_'))?;
    Some(format!("{stem}rsp"))
}
