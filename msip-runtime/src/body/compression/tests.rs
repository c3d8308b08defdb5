use proptest::{collection::vec, prelude::*};

use super::*;

const BUILT: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::Lz4];

const MAX: usize = 100_000;

fn built() -> impl Iterator<Item = Compression> {
    BUILT.into_iter().filter(|algorithm| algorithm.is_built())
}

/// Compresses a body that must get smaller.
fn compressed_smaller(algorithm: Compression, body: &[u8]) -> Vec<u8> {
    compress(algorithm, body).unwrap_or_else(|| panic!("{algorithm} did not make it smaller"))
}

#[test]
fn bodies_round_trip() {
    for algorithm in built() {
        for len in [1_000, MAX] {
            let body: Vec<u8> = (0..len)
                .map(|index| if index % 7 == 0 { b'a' } else { b'b' })
                .collect();
            let compressed = compressed_smaller(algorithm, &body);
            assert!(
                compressed.len() < len / 2,
                "{algorithm}: {len} to {}",
                compressed.len()
            );
            assert_eq!(i32::from(compressed[0]), algorithm.number());
            assert_eq!(
                inflate(algorithm, &compressed, MAX),
                Ok(body),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn a_body_that_does_not_get_smaller_is_not_compressed() {
    // A sequence that no algorithm finds a repetition in.
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..5_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56).to_le_bytes()[0]
        })
        .collect();
    for algorithm in built() {
        for body in [&noise[..], b"", b"a", b"ab"] {
            assert_eq!(
                compress(algorithm, body),
                None,
                "{algorithm} of {} bytes",
                body.len()
            );
        }
    }
    assert_eq!(compress(Compression::None, &[0; 1000]), None);
}

#[test]
fn decompression_stops_at_the_limit() {
    for algorithm in built() {
        let compressed = compressed_smaller(algorithm, &vec![0; MAX]);
        for (max, fits) in [
            (MAX, true),
            (MAX + 1, true),
            (MAX - 1, false),
            (1, false),
            (0, false),
        ] {
            let inflated = inflate(algorithm, &compressed, max);
            match inflated {
                Ok(body) => assert!(fits && body.len() == MAX, "{algorithm} at {max}"),
                Err(error) => {
                    assert!(!fits, "{algorithm} at {max}: {error}");
                    assert_eq!(error, InflateError::TooLarge { max });
                }
            }
        }
    }
}

#[test]
fn truncated_and_trailing_input_is_refused() {
    for algorithm in built() {
        let whole = compressed_smaller(algorithm, &[7; 5_000]);
        for len in 1..whole.len() {
            let cut = inflate(algorithm, &whole[..len], MAX);
            assert!(
                matches!(cut, Err(InflateError::Malformed { .. })),
                "{algorithm}, {len} of {} bytes: {cut:?}",
                whole.len()
            );
        }
        for more in [&whole[1..], b"\0", b"trailing"] {
            let longer = [&whole, more].concat();
            let inflated = inflate(algorithm, &longer, MAX);
            assert!(
                matches!(inflated, Err(InflateError::Malformed { .. })),
                "{algorithm}: {inflated:?}"
            );
        }
    }
}

#[test]
fn another_algorithm_than_agreed_is_refused() {
    for algorithm in built() {
        let mut compressed = compressed_smaller(algorithm, &[7; 5_000]);
        for number in [0, 9, compressed[0] % 3 + 1] {
            compressed[0] = number;
            let error = inflate(algorithm, &compressed, MAX).expect_err("another algorithm");
            assert!(
                matches!(error, InflateError::Algorithm { .. }),
                "{algorithm}: {error}"
            );
        }
        let empty = inflate(algorithm, b"", MAX).expect_err("empty");
        assert_eq!(
            empty.to_string(),
            format!("invalid {algorithm}: the body is empty")
        );
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstd_window_is_limited_by_the_largest_output() {
    // Magic; a descriptor without size and checksum; the window; and one last, empty, raw block.
    let frame = |window_log: u8| {
        vec![
            2,
            0x28,
            0xb5,
            0x2f,
            0xfd,
            0,
            (window_log - 10) << 3,
            1,
            0,
            0,
        ]
    };
    for (window_log, max, is_taken) in [
        (10, 1024, true),
        (22, 4 << 20, true),
        (23, 4 << 20, false),
        (23, 1 << 30, true),
        (27, 1 << 30, false),
        (31, 1 << 30, false),
    ] {
        let inflated = inflate(Compression::Zstd, &frame(window_log), max);
        assert_eq!(
            inflated.is_ok(),
            is_taken,
            "2^{window_log} for {max}: {inflated:?}"
        );
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_size_that_zstd_declares_is_not_trusted() {
    // A single segment: so much is announced, in 8 bytes, and none of it comes.
    let frame = |size: u64| {
        [
            &[2, 0x28, 0xb5, 0x2f, 0xfd, 0xe0][..],
            &size.to_le_bytes(),
            &[1, 0, 0],
        ]
        .concat()
    };
    let error = inflate(Compression::Zstd, &frame(1 << 20), 1 << 20).expect_err("nothing comes");
    assert!(matches!(error, InflateError::Malformed { .. }), "{error}");
    let error = inflate(Compression::Zstd, &frame(1 << 62), 1 << 20).expect_err("too much");
    assert_eq!(error, InflateError::TooLarge { max: 1 << 20 });
}

#[cfg(feature = "lz4")]
#[test]
fn a_size_that_lz4_declares_is_not_trusted() {
    let good = compressed_smaller(Compression::Lz4, &[7; 5_000]);
    let with_size = |size: u32| [&good[..1], &size.to_le_bytes(), &good[5..]].concat();
    for size in [0, 1, 4_999, 5_001, 6_000] {
        let error = inflate(Compression::Lz4, &with_size(size), MAX).expect_err("a lie");
        assert!(
            matches!(error, InflateError::Malformed { .. }),
            "{size}: {error}"
        );
    }
    assert_eq!(
        inflate(Compression::Lz4, &with_size(u32::MAX), MAX),
        Err(InflateError::TooLarge { max: MAX })
    );
    let error = inflate(Compression::Lz4, &with_size(u32::MAX), usize::MAX).expect_err("a lie");
    assert_eq!(
        error.to_string(),
        format!(
            "invalid lz4: {} bytes cannot contain the declared 4294967295",
            good.len() - 5
        )
    );
}

proptest! {
    #[test]
    fn random_bytes_never_panic(number in 0_u8..5, bytes in vec(any::<u8>(), 0..300)) {
        let body = [&[number], &bytes[..]].concat();
        for algorithm in built() {
            if let Ok(inflated) = inflate(algorithm, &body, 10_000) {
                prop_assert!(inflated.len() <= 10_000);
            }
        }
    }

    #[test]
    fn changed_bytes_never_panic(place in 0_usize..200, bit in 0_u32..8) {
        for algorithm in built() {
            let body: Vec<u8> = (0..2_000_u32).flat_map(|number| (number / 3).to_le_bytes()).collect();
            let mut compressed = compressed_smaller(algorithm, &body);
            let place = place % compressed.len();
            compressed[place] ^= 1 << bit;
            if let Ok(inflated) = inflate(algorithm, &compressed, 10_000) {
                prop_assert!(inflated.len() <= 10_000);
            }
        }
    }
}
