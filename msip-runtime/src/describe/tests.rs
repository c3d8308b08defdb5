//! Encoding and decoding by hand, as the derive does it. The output of the derive is tested with the derive.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::*;

/// Writes a field as number 1, and reads it back.
fn through<F: Field<E> + PartialEq + std::fmt::Debug, E>(name: &str, value: &F, bytes: &[u8]) {
    let mut buffer = Vec::new();
    value.encode(1, &mut buffer);
    assert_eq!(buffer, bytes, "{name}: bytes");
    assert_eq!(value.len(1), bytes.len(), "{name}: length");
    assert_eq!(read::<F, E>(bytes).as_ref(), Ok(value), "{name}: read back");
}

fn read<F: Field<E>, E>(bytes: &[u8]) -> Result<F, Malformed> {
    let whole = Bytes::copy_from_slice(bytes);
    let mut reader = Reader::new(Body::from(&whole));
    let mut slot = F::slot();
    while let Some(key) = reader.key()? {
        F::read(&mut slot, key, &mut reader)?;
    }
    F::finish(slot, &reader)
}

/// -1 as a number of ten bytes.
const MINUS_ONE: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];

#[test]
fn scalars_are_encoded_as_protobuf() {
    through::<_, Plain>("int32", &300_i32, &[0x08, 0xac, 0x02]);
    let minus_one = [&[0x08], &MINUS_ONE[..]].concat();
    through::<_, Plain>("int32 below zero", &-1_i32, &minus_one);
    through::<_, Plain>("int64 below zero", &-1_i64, &minus_one);
    through::<_, Plain>("zero is not written", &0_u64, &[]);
    through::<_, Plain>("uint32", &u32::MAX, &[0x08, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    through::<_, Plain>("bool", &true, &[0x08, 1]);
    through::<_, Plain>("float", &1.0_f32, &[0x0d, 0, 0, 0x80, 0x3f]);
    through::<_, Plain>("double", &1.0_f64, &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    through::<_, Plain>("string", &"hi".to_owned(), &[0x0a, 2, b'h', b'i']);
    through::<_, Plain>("bytes", &Bytes::from_static(&[7]), &[0x0a, 1, 7]);
    through::<_, Sint32>("sint32", &-2_i32, &[0x08, 3]);
    through::<_, Sint32>(
        "the least sint32",
        &i32::MIN,
        &[0x08, 0xff, 0xff, 0xff, 0xff, 0x0f],
    );
    through::<_, Sint64>("sint64", &1_i64, &[0x08, 2]);
    through::<_, Fixed32>("fixed32", &1_u32, &[0x0d, 1, 0, 0, 0]);
    through::<_, Sfixed64>(
        "sfixed64",
        &-1_i64,
        &[0x09, 255, 255, 255, 255, 255, 255, 255, 255],
    );
}

#[test]
fn many_values_are_packed_or_repeated() {
    through::<_, Plain>("packed", &vec![1_i32, 300], &[0x0a, 3, 1, 0xac, 0x02]);
    through::<_, Plain>("empty", &Vec::<i32>::new(), &[]);
    let texts = vec!["a".to_owned(), String::new()];
    through::<_, Plain>("texts", &texts, &[0x0a, 1, b'a', 0x0a, 0]);
    through::<_, Plain>("some zero", &Some(0_i32), &[0x08, 0]);
    through::<_, Plain>("none", &None::<String>, &[]);
    let map = BTreeMap::from([(0_i32, "a".to_owned()), (1, String::new())]);
    through::<_, Plain>(
        "zeros of a map",
        &map,
        &[0x0a, 3, 0x12, 1, b'a', 0x0a, 2, 0x08, 1],
    );
    let map = HashMap::from([(-1_i32, 1_u64)]);
    let bytes = [0x0a, 11, 0x08, 1, 0x11, 1, 0, 0, 0, 0, 0, 0, 0];
    through::<_, (Sint32, Fixed64)>("encodings of a map", &map, &bytes);
}

#[test]
fn times_are_protobufs_own_messages() {
    through::<_, Plain>("no time", &Duration::ZERO, &[0x0a, 0]);
    through::<_, Plain>(
        "a duration",
        &Duration::new(3, 5),
        &[0x0a, 4, 0x08, 3, 0x10, 5],
    );
    through::<_, Plain>("1970", &UNIX_EPOCH, &[0x0a, 0]);
    let before = UNIX_EPOCH - Duration::new(0, 999_999_999);
    let bytes = [&[0x0a, 13, 0x08], &MINUS_ONE[..], &[0x10, 1]].concat();
    through::<_, Plain>("just before 1970", &before, &bytes);
    assert!(
        read::<SystemTime, Plain>(&[0x0a, 2, 0x10, 0xff]).is_err(),
        "cut off"
    );
    let huge = [
        0x0a, 10, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ];
    assert!(
        read::<Duration, Plain>(&huge).is_ok(),
        "as long as it can be"
    );
    let billion = [0x0a, 6, 0x10, 0x80, 0x94, 0xeb, 0xdc, 0x03];
    assert!(
        read::<Duration, Plain>(&billion).is_err(),
        "a second of nanoseconds"
    );
    assert!(
        read::<SystemTime, Plain>(&billion).is_err(),
        "a second of nanoseconds"
    );
}

#[test]
fn bytes_are_slices_of_what_was_received() {
    let whole = Bytes::from_static(&[0x0a, 3, 1, 2, 3]);
    let mut reader = Reader::new(Body::from(&whole));
    let key = reader.key().expect("a key").expect("a field");
    let mut slot = <Bytes as Field>::slot();
    <Bytes as Field>::read(&mut slot, key, &mut reader).expect("read");
    let bytes = <Bytes as Field>::finish(slot, &reader).expect("there");
    assert_eq!(bytes.as_ptr(), whole.slice(2..).as_ptr());
}

#[test]
fn bad_bytes_are_errors_that_say_why() {
    let endless = [&[0x08], &[0xff; 10][..], &[1]].concat();
    let above_64_bits = [&[0x08], &[0xff; 9][..], &[2]].concat();
    let cases: [(&str, &[u8], &str); 7] = [
        ("cut off", &[0x08, 0xff], "unterminated varint"),
        ("a number of 11 bytes", &endless, "unterminated varint"),
        (
            "a number above 64 bits",
            &above_64_bits,
            "unterminated varint",
        ),
        ("field 0", &[0x00, 0], "field number 0"),
        (
            "a key above 32 bits",
            &[0xff, 0xff, 0xff, 0xff, 0x1f, 0],
            "field number out of range",
        ),
        ("wire type 7", &[0x0f], "unknown wire type 7"),
        (
            "another wire type",
            &[0x0d, 0, 0, 0, 0],
            "expected wire type Varint, found ThirtyTwoBit",
        ),
    ];
    for (name, bytes, text) in cases {
        let error = read::<i32, Plain>(bytes).expect_err(name);
        assert_eq!(error.to_string(), text, "{name}");
    }
}

#[test]
fn types_of_one_name_get_different_ones() {
    struct First;
    struct Second;
    let name = |ty: ValueType| ty.message_name().expect("a message").as_str().to_owned();
    let mut types = Registry::new("p");
    let first = name(types.message::<First>("Position", |_| MessageShape::new("")));
    let second = name(types.message::<Second>("Position", |_| MessageShape::new("")));
    let again = name(types.message::<First>("Position", |_| MessageShape::new("")));
    assert_eq!(
        [first, second, again],
        ["p.Position", "p.Position2", "p.Position"]
    );
}
