//! Metadata and time limits of options.

use proptest::prelude::*;

use super::*;

#[test]
fn the_first_error_is_reported_and_valid_metadata_is_kept() {
    let options = CallOptions::new()
        .header("lang", "en")
        .header("", "x")
        .traceparent("nonsense");
    assert_eq!(
        options.outgoing_metadata(),
        Err(MetadataError::EmptyName),
        "the first of two"
    );
    let options = CallOptions::new().header("lang", "en").idempotent();
    let metadata = options.outgoing_metadata().unwrap().unwrap();
    assert_eq!(metadata.header("lang"), Some("en"));
    assert!(metadata.is_idempotent());
    assert_eq!(CallOptions::new().urgent().outgoing_metadata(), Ok(None));
}

#[test]
fn a_chain_of_calls_propagates_its_id_and_trace_but_no_headers() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let first = CallOptions::new()
        .correlation_id("order-17")
        .traceparent(trace)
        .tracestate("vendor=1")
        .header("token", "x")
        .key("k")
        .idempotent();
    let metadata = first.outgoing_metadata().unwrap().unwrap();
    let next = CallOptions::new().follow(metadata);
    let passed_on = next.outgoing_metadata().unwrap().unwrap();
    assert_eq!(passed_on.correlation_id(), Some("order-17"));
    assert_eq!(passed_on.traceparent(), Some(trace));
    assert_eq!(passed_on.tracestate(), Some("vendor=1"));
    assert_eq!(passed_on.headers().count(), 0);
    assert!(!passed_on.is_idempotent() && passed_on.key().is_none());
    let bare = CallOptions::new().header("token", "x");
    let bare = bare.outgoing_metadata().unwrap().unwrap();
    let next = CallOptions::new().follow(bare);
    assert_eq!(next.outgoing_metadata(), Ok(None), "nothing to pass on");
}

/// What may be said of a time limit, in ms, in whatever order.
#[derive(Debug, Clone, Copy)]
enum Said {
    Timeout(u64),
    Within(u64),
    RelayedWithin(u64),
    Urgent,
}

fn said() -> impl Strategy<Value = Vec<Said>> {
    let ms = || 0..100_000_u64;
    let one = prop_oneof![
        ms().prop_map(Said::Timeout),
        ms().prop_map(Said::Within),
        ms().prop_map(Said::RelayedWithin),
        Just(Said::Urgent),
    ];
    prop::collection::vec(one, 0..4)
}

proptest! {
    /// Whatever is combined in whatever order, what is left of a deadline that is passed on is never exceeded, and
    /// neither is the limit that holds without it.
    #[test]
    fn a_deadline_that_is_passed_on_only_shortens(
        said in said(),
        schema in prop::option::of(0..100_000_u64),
        default in prop::option::of(0..100_000_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let [schema, default] = [schema, default].map(|ms| ms.map(Duration::from_millis));
        let now = Instant::now();
        let mut options = CallOptions::new();
        let (mut explicit, mut within) = (None, None);
        for one in said {
            options = match one {
                Said::Timeout(ms) => {
                    explicit = Some(Duration::from_millis(ms));
                    options.timeout(Duration::from_millis(ms))
                }
                Said::Within(ms) => {
                    within = Some((Duration::from_millis(ms), false));
                    options.within(now + Duration::from_millis(ms))
                }
                Said::RelayedWithin(ms) => {
                    within = Some((Duration::from_millis(ms), true));
                    options.relayed_within(now + Duration::from_millis(ms))
                }
                Said::Urgent => options.urgent(),
            };
        }
        let is_relayed = within.is_some_and(|(_, is_relayed)| is_relayed);
        let own = explicit.or(schema).or(default.filter(|_| !is_relayed));
        let limits = own.into_iter().chain(within.map(|(left, _)| left));
        prop_assert_eq!(options.time_limit(schema, default), limits.min());
    }
}
