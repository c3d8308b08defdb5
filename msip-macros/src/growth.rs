//! How the time of an expansion grows with its enum: to four times as many variants, about four times the time.

use std::time::{Duration, Instant};

use proc_macro2::TokenStream;

use crate::{message, protocol};

/// Growth is judged by this: four is linear, sixteen is quadratic.
const MOST: f64 = 6.0;
/// How often an unfavourable result is measured again.
const TRIES: usize = 12;
/// How long is measured at least, by repetition: the clock of a thread may move in steps of milliseconds.
const LONG_ENOUGH: Duration = Duration::from_millis(60);
const MOST_RUNS: u32 = 20;

fn variants(n: usize, variant: impl Fn(usize) -> String) -> String {
    (0..n).map(variant).collect()
}

fn one_way(n: usize) -> String {
    let up = variants(n, |i| format!("#[msip(tag = {})] M{i}Ind(M),", i + 1));
    format!(
        "{{ #[msip(protocol = \"p\")] enum Up {{ {up} }} }} {{ enum Down {{ #[msip(tag = 1)] A }} }}"
    )
}

fn calls(n: usize) -> String {
    let up = variants(n, |i| format!("#[msip(tag = {})] M{i}Req(M),", i + 1));
    let down = variants(n, |i| format!("#[msip(tag = {})] M{i}Rsp(M),", i + 1));
    format!("{{ #[msip(protocol = \"p\")] enum Up {{ {up} }} }} {{ enum Down {{ {down} }} }}")
}

fn oneof(n: usize) -> String {
    let reserved = variants(n, |i| format!("{}, \"old{i}\",", 2 * i + 2));
    let variants = variants(n, |i| format!("#[msip(tag = {})] M{i}(u32),", 2 * i + 1));
    format!("#[msip(reserved({reserved}))] enum Choice {{ {variants} #[msip(other)] Other }}")
}

fn open_enum(n: usize) -> String {
    let reserved = variants(n, |i| format!("{}, \"OLD{i}\",", 2 * i + 1));
    let values = variants(n, |i| format!("M{i} = {},", 2 * i));
    format!("#[msip(reserved({reserved}))] enum Mood {{ {values} #[msip(other)] Other(i32) }}")
}

fn record(n: usize) -> String {
    let reserved = variants(n, |i| format!("{}, \"old{i}\",", 2 * i + 2));
    let fields = variants(n, |i| format!("#[msip(tag = {})] m{i}: u32,", 2 * i + 1));
    format!("#[msip(reserved({reserved}))] struct Record {{ {fields} }}")
}

/// Every field has a mistake.
fn untagged(n: usize) -> String {
    let fields = variants(n, |i| format!("m{i}: u32,"));
    format!("struct Record {{ {fields} }}")
}

#[test]
fn expansion_grows_with_the_variants_and_not_with_their_square() {
    type Shape = (
        &'static str,
        usize,
        fn(usize) -> String,
        fn(TokenStream) -> TokenStream,
    );
    let shapes: [Shape; 6] = [
        ("one-way messages", 40, one_way, protocol::whole),
        ("calls", 25, calls, protocol::whole),
        ("oneof", 150, oneof, message::derive),
        ("open enum", 150, open_enum, message::derive),
        ("record", 150, record, message::derive),
        ("fields without tags", 300, untagged, message::derive),
    ];
    for (name, n, shape, expand) in shapes {
        // Each try is judged by itself: the least of all small ones beside the least of all large ones would be worse
        // than any of them.
        let mut factor = f64::MAX;
        for _ in 0..TRIES {
            let once = cost(&shape(n), expand);
            let four_times = cost(&shape(4 * n), expand);
            factor = factor.min(four_times.as_secs_f64() / once.as_secs_f64().max(1e-6));
            eprintln!("{name}: {once:.1?}, four times as much {four_times:.1?}");
            if factor <= MOST {
                break;
            }
        }
        assert!(
            factor <= MOST,
            "{name}: {factor:.1} times the time for four times as much"
        );
    }
}

/// What one expansion takes, on a thread of its own.
fn cost(text: &str, expand: fn(TokenStream) -> TokenStream) -> Duration {
    let work = || {
        let (mut taken, mut runs) = (Duration::ZERO, 0);
        while taken < LONG_ENOUGH && runs < MOST_RUNS {
            let tokens: TokenStream = text.parse().expect("tokens");
            let (before, start) = (processor_time(), Instant::now());
            let output = expand(tokens);
            let spent = processor_time().zip(before);
            taken += spent.map_or_else(|| start.elapsed(), |(after, before)| after - before);
            runs += 1;
            assert!(!output.is_empty());
        }
        taken / runs
    };
    std::thread::scope(|scope| scope.spawn(work).join().expect("it does not panic"))
}

/// The time that this thread has had a processor for: the load of the machine is no part of it. Only Linux says so.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
