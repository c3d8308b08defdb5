//! Names that protobuf derives from those of fields: in JSON, and of the entries of maps.

/// The name in JSON of a field whose schema gives it no other: lower camel case, by protobuf's own rule.
///
/// ```
/// assert_eq!(msip_schema::json_name("user_name"), "userName");
/// ```
pub fn json_name(field: &str) -> String {
    let mut json = String::with_capacity(field.len());
    let mut is_after_underscore = false;
    for c in field.chars() {
        if c == '_' {
            is_after_underscore = true;
        } else if is_after_underscore {
            json.push(c.to_ascii_uppercase());
            is_after_underscore = false;
        } else {
            json.push(c);
        }
    }
    json
}

/// The name of the message that stands for the entries of a map.
///
/// ```
/// assert_eq!(msip_schema::map_entry_name("cache_size"), "CacheSizeEntry");
/// ```
pub fn map_entry_name(field: &str) -> String {
    let mut name = String::with_capacity(field.len() + 5);
    for word in field.split('_') {
        let mut chars = word.chars();
        name.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(chars.as_str());
    }
    name + "Entry"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_raise_what_follows() {
        for (field, json) in [
            ("user", "user"),
            ("user_name", "userName"),
            ("_a__b_", "AB"),
            ("HTTPReq", "HTTPReq"),
            ("x_1", "x1"),
            ("größe_ä", "größeä"),
        ] {
            assert_eq!(json_name(field), json, "{field}");
        }
    }
}
