//! What a metric is made of: atomics in statics, so that to count is one addition and needs no look-up, no lock and no allocation.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// What tells metrics apart: a name and all its values, which are known when the program is built.
///
/// Nothing that a caller sends can become a label: tenants, actors, keys and names are for the log.
pub(super) trait Label: Copy + 'static {
    const KEY: &'static str;
    const ALL: &'static [Self];
    fn text(self) -> &'static str;
    fn index(self) -> usize;
}

/// An enum whose variants are the values of a label.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident, $key:literal: $($variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the variants are the label's values, which docs/operating.md explains")]
        pub enum $name { $($variant),+ }

        impl $crate::metrics::kinds::Label for $name {
            const KEY: &'static str = $key;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(super) use labels;

/// Something that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something that goes up and down.
#[derive(Debug, Default)]
pub(super) struct Gauge(AtomicI64);

impl Gauge {
    pub(super) const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    pub(super) fn add(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of times, in nanoseconds: from a statement on a local disk to a copy of a large object.
const TIMES: [u64; 16] = {
    const MS: u64 = 1_000_000;
    const S: u64 = 1000 * MS;
    [MS / 4, MS / 2, MS, MS * 5 / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS, S, S * 5 / 2, 5 * S, 10 * S, 30 * S]
};

/// Upper bounds of batches, in records.
const SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// How often something was how large; the sum is kept beside it.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    /// The label of one part of a sum.
    unit: f64,
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

/// Of times, in seconds.
pub(super) type Times = Histogram<{ TIMES.len() }>;

/// Of batches.
pub(super) type Sizes = Histogram<{ SIZES.len() }>;

impl Times {
    pub(super) const fn new() -> Self {
        Self::of(&TIMES, 1e9)
    }

    pub(super) fn took(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }
}

impl Sizes {
    pub(super) const fn new() -> Self {
        Self::of(&SIZES, 1.0)
    }
}

impl<const N: usize> Histogram<N> {
    const fn of(bounds: &'static [u64; N], unit: f64) -> Self {
        Self { bounds, unit, counts: [const { AtomicU64::new(0) }; N], above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(bucket).unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }
}

/// Measures until it is dropped.
#[must_use]
pub struct Timed {
    started: Instant,
    into: &'static Times,
    /// How many are at it now.
    busy: Option<&'static Gauge>,
}

impl Timed {
    pub(super) fn new(into: &'static Times, busy: Option<&'static Gauge>) -> Self {
        if let Some(busy) = busy {
            busy.add(1);
        }
        Self { started: Instant::now(), into, busy }
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.into.took(self.started.elapsed());
        if let Some(busy) = self.busy {
            busy.add(-1);
        }
    }
}

// ---- telling ----

/// A metric that can be written out.
pub(super) trait Exported {
    const TYPE: MetricType;
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result;
}

impl Exported for Counter {
    const TYPE: MetricType = MetricType::Counter;

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, f64>(&self.get(), None)
    }
}

impl Exported for Gauge {
    const TYPE: MetricType = MetricType::Gauge;

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.get())
    }
}

/// A gauge that is measured when it is asked for.
impl Exported for f64 {
    const TYPE: MetricType = MetricType::Gauge;

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(self)
    }
}

impl<const N: usize> Exported for Histogram<N> {
    const TYPE: MetricType = MetricType::Histogram;

    #[expect(clippy::cast_precision_loss, reason = "a sum of times is exact to the microsecond")]
    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut buckets: Vec<(f64, u64)> =
            self.bounds.iter().zip(&self.counts).map(|(bound, count)| (*bound as f64 / self.unit, read(count))).collect();
        buckets.push((f64::INFINITY, read(&self.above)));
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(read(&self.sum) as f64 / self.unit, count, &buckets, None)
    }
}

/// A metric without labels.
pub(super) fn one<M: Exported>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &M) -> fmt::Result {
    metric.encode(&mut encoder.encode_descriptor(name, help, None, M::TYPE)?)
}

/// A metric with one label, one of it for each value.
pub(super) fn by<L: Label, M: Exported>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metrics: &[M]) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(name, help, None, M::TYPE)?;
    for (label, metric) in L::ALL.iter().zip(metrics) {
        metric.encode(&mut encoder.encode_family(&[(L::KEY, label.text())])?)?;
    }
    Ok(())
}

/// A metric with two labels.
pub(super) fn by_both<A: Label, B: Label, M: Exported, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metrics: &[[M; N]],
) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(name, help, None, M::TYPE)?;
    for (first, row) in A::ALL.iter().zip(metrics) {
        for (second, metric) in B::ALL.iter().zip(row) {
            metric.encode(&mut encoder.encode_family(&[(A::KEY, first.text()), (B::KEY, second.text())])?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_below_its_bound_and_beyond_all_in_the_last() {
        let sizes = Sizes::new();
        for value in [1, 2, 3, 512, 513] {
            sizes.observe(value);
        }
        let counts: Vec<u64> = sizes.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((sizes.above.load(Ordering::Relaxed), sizes.sum.load(Ordering::Relaxed)), (1, 1031));
    }

    #[test]
    fn bounds_rise() {
        assert!(TIMES.is_sorted_by(|a, b| a < b) && SIZES.is_sorted_by(|a, b| a < b));
    }
}
