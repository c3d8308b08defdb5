//! A recorder of what the middleware `Metrics` measures, which the hub prints when it closes. A program in production
//! installs an exporter instead.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_global_recorder,
};

/// The counters and gauges, by name and labels.
#[derive(Clone, Default)]
pub(crate) struct Figures(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Figures {
    /// The figures of this process. Where another recorder was installed before, they stay empty.
    pub(crate) fn install() -> Self {
        let figures = Self::default();
        let _ = set_global_recorder(figures.clone());
        figures
    }

    /// A line for each counter of this name: its labels and its value.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_name = figures.iter().filter(|(key, _)| key.starts_with(name));
        of_name
            .map(|(key, value)| format!("{key} {}", value.load(Ordering::Relaxed)))
            .collect()
    }

    fn figure(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        figures.entry(name).or_default().clone()
    }
}

impl Recorder for Figures {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.figure(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
