//! What the compiler checks of derived messages: facts that are known of types, and so to no derive.

/// A field: its name, its number, and whether it may be a message's key.
type FieldEntry = (&'static str, u32, bool);

/// Refuses, at compile time, a key that the message does not have.
///
/// # Panics
///
/// At compile time, if no field of this name can be a message's key.
#[doc(hidden)]
#[track_caller]
pub const fn require_key(fields: &[(&str, u32, bool)], key: &str) {
    let mut rest = fields;
    while let [(name, _, may_be_key), others @ ..] = rest {
        if same(name, key) {
            assert!(
                *may_be_key,
                "the key is a message, a list or a map: name a field that is one number, bool, string, bytes or enum [key-type]"
            );
            return;
        }
        rest = others;
    }
    // Evaluated in a `const`, so it fails the compilation, never a program.
    panic!(
        "the key is not a field of the message: write the field's name as the schema spells it [key-not-found]"
    );
}

/// The number of the key field; 0 if there is no field of this name, which [`require_key`] refuses.
#[doc(hidden)]
#[must_use]
pub const fn key_number(fields: &[(&str, u32, bool)], key: &str) -> u32 {
    let mut rest = fields;
    while let [(name, number, _), others @ ..] = rest {
        if same(name, key) {
            return *number;
        }
        rest = others;
    }
    0
}

/// The fields of a message with oneofs, which are several lists.
#[doc(hidden)]
#[must_use]
pub const fn all_fields<const N: usize>(lists: &[&[FieldEntry]]) -> [FieldEntry; N] {
    let mut all = [("", 0, false); N];
    let mut next = 0;
    let mut rest = lists;
    while let [list, others @ ..] = rest {
        let mut fields = *list;
        while let [field, more @ ..] = fields {
            all[next] = *field;
            next += 1;
            fields = more;
        }
        rest = others;
    }
    all
}

/// The lowest number of a oneof, which is where the oneof is written; 0 if it has no member.
#[doc(hidden)]
#[must_use]
pub const fn lowest_number(members: &[(&str, u32, bool)]) -> u32 {
    let mut lowest = 0;
    let mut rest = members;
    while let [(_, number, _), others @ ..] = rest {
        if lowest == 0 || *number < lowest {
            lowest = *number;
        }
        rest = others;
    }
    lowest
}

/// The order in which the parts of a message are written, as prost does: by number, a oneof by its lowest one.
#[doc(hidden)]
#[must_use]
pub const fn order_by_number<const N: usize>(numbers: [u32; N]) -> [usize; N] {
    let mut order = [0; N];
    let mut end = 0;
    while end < N {
        // Insertion sort: only messages with oneofs come here, and most are in order.
        let mut at = end;
        while at > 0 && numbers[order[at - 1]] > numbers[end] {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = end;
        end += 1;
    }
    order
}

/// Refuses, at compile time, a field whose number or name a oneof of its message has too.
///
/// # Panics
///
/// At compile time.
#[doc(hidden)]
#[track_caller]
pub const fn require_beside(members: &[(&str, u32, bool)], name: &str, number: u32) {
    let mut rest = members;
    while let [(other, taken, _), others @ ..] = rest {
        assert!(
            *taken != number,
            "a oneof of this message has a member of this number: give one of the two a free number; a number already in use on the wire stays as it is [duplicate-number]"
        );
        assert!(
            !same(other, name),
            "a oneof of this message has a member of this name: rename one of the two [duplicate-name]"
        );
        assert!(
            !same_in_json(other, name),
            "a oneof of this message has a member of the same name in JSON: rename one of the two [name-collision]"
        );
        rest = others;
    }
}

/// Refuses, at compile time, a oneof that shares a number or name with another one of its message.
///
/// # Panics
///
/// At compile time.
#[doc(hidden)]
#[track_caller]
pub const fn require_apart(members: &[(&str, u32, bool)], others: &[(&str, u32, bool)]) {
    let mut rest = members;
    while let [(name, number, _), more @ ..] = rest {
        let mut second = others;
        while let [(other, taken, _), more @ ..] = second {
            assert!(
                *taken != *number,
                "two oneofs of this message have members of one number: give one of the two a free number; a number already in use on the wire stays as it is [duplicate-number]"
            );
            assert!(
                !same(other, name) && !same_in_json(other, name),
                "two oneofs of this message have members of one name: rename one of the two [duplicate-name]"
            );
            second = more;
        }
        rest = more;
    }
}

/// Refuses, at compile time, fields with numbers or names that are reserved where the fields are not declared: by the
/// message for members of its oneof, or by the oneof for fields of its message.
///
/// # Panics
///
/// At compile time.
#[doc(hidden)]
#[track_caller]
pub const fn require_unreserved(
    fields: &[(&str, u32, bool)],
    numbers: &[(u32, u32)],
    names: &[&str],
) {
    let mut rest = fields;
    while let [(name, number, _), more @ ..] = rest {
        let mut ranges = numbers;
        while let [(first, last), more @ ..] = ranges {
            assert!(
                *number < *first || *last < *number,
                "a number of this message is reserved, by the message or by its oneof: what is reserved was in use once, and old peers still mean the old thing by it [number-reserved]"
            );
            ranges = more;
        }
        let mut reserved = names;
        while let [other, more @ ..] = reserved {
            assert!(
                !same(other, name),
                "a name of this message is reserved, by the message or by its oneof: choose another name [number-reserved]"
            );
            reserved = more;
        }
        rest = more;
    }
}

/// A `const` version of `a == b`.
const fn same(a: &str, b: &str) -> bool {
    // Each name is compared with many others, and a constant may take so many steps only.
    if a.len() != b.len() {
        return false;
    }
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let ([first, a_rest @ ..], [second, b_rest @ ..]) = (a, b) {
        if *first != *second {
            return false;
        }
        (a, b) = (a_rest, b_rest);
    }
    a.is_empty() && b.is_empty()
}

/// A `const` version of `json_name(a) == json_name(b)`.
const fn same_in_json(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (first, a_rest) = next_in_json(a);
        let (second, b_rest) = next_in_json(b);
        if first != second {
            return false;
        }
        if first == 0 {
            return true;
        }
        (a, b) = (a_rest, b_rest);
    }
}

/// The next byte of a name in JSON, where underscores are left out and raise what follows; 0 at the end.
const fn next_in_json(name: &[u8]) -> (u8, &[u8]) {
    let mut rest = name;
    let mut is_raised = false;
    while let [byte, others @ ..] = rest {
        rest = others;
        if *byte != b'_' {
            let byte = if is_raised {
                byte.to_ascii_uppercase()
            } else {
                *byte
            };
            return (byte, rest);
        }
        is_raised = true;
    }
    (0, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_name() {
        const FIELDS: &[(&str, u32, bool)] = &[("vehicle", 1, false), ("vehicle_id", 7, true)];
        require_key(FIELDS, "vehicle_id");
        assert_eq!(key_number(FIELDS, "vehicle_id"), 7);
        for key in ["vehicle", "vehicle_i", "vehicle_id2", ""] {
            assert!(
                std::panic::catch_unwind(|| require_key(FIELDS, key)).is_err(),
                "{key}"
            );
        }
    }

    #[test]
    fn names_in_json_are_those_of_the_schema() {
        let names = ["a", "a_", "a_b", "aB", "_a", "A", "a__b", "a_1", "a1", "ab"];
        for a in names {
            for b in names {
                let expected = msip_schema::json_name(a) == msip_schema::json_name(b);
                assert_eq!(same_in_json(a, b), expected, "{a} {b}");
            }
        }
    }

    #[test]
    fn parts_are_written_by_number() {
        assert_eq!(order_by_number([3, 1, 2]), [1, 2, 0]);
        assert_eq!(order_by_number([1, 2, 3]), [0, 1, 2]);
        assert_eq!(order_by_number([]), [0; 0]);
        let members = [("a", 7, false), ("b", 3, false), ("c", 9, true)];
        assert_eq!(lowest_number(&members), 3);
        assert_eq!(lowest_number(&[]), 0);
    }
}
