//! The time that small pieces take: `cargo bench -p msip-benches`.

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use msip_benches::CASES;

fn cases(criterion: &mut Criterion) {
    for case in CASES {
        criterion.bench_function(case.name, |bencher| {
            bencher.iter_custom(|count| {
                let started = Instant::now();
                if let Err(error) = (case.run)(count) {
                    panic!("{}: {error}", case.name);
                }
                started.elapsed()
            });
        });
    }
}

criterion_group!(all, cases);
criterion_main!(all);
