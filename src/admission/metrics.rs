//! What the webhook counts, in Prometheus' terms. No label names a pod, an image or a namespace, so that the number of series
//! is bounded.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::cluster::{EventTally, Events, WatchHealth};
use crate::policy::{Level, Mode};
use crate::registry::{Images, InspectionCounts};
use crate::rules::Rule;

use super::serving::Keys;

/// Bounds of the duration histogram, in seconds: from well below an ordinary review to what the API server waits at most.
const DURATION_BUCKETS: [f64; 11] = [25e-6, 50e-6, 100e-6, 250e-6, 1e-3, 5e-3, 25e-3, 0.1, 0.5, 2.0, 10.0];

/// The counters of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    duration: Histogram,
    findings: Family<FindingLabels, Counter>,
    injected: Family<OptionLabels, Counter>,
    panics: Counter,
    handshakes_failed: Counter,
    connections_refused: Counter,
}

/// What became of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The pod was changed.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// The object was refused.
    Denied,
    /// The pod was left alone: by its mode, by its own wish, or for what it is.
    Skipped,
    /// The request was no review.
    BadRequest,
    /// Its namespace was not known in time, or muslin failed; the pod was left alone.
    Failed,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReviewLabels {
    hook: &'static str,
    outcome: &'static str,
    mode: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FindingLabels {
    rule: &'static str,
    level: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OptionLabels {
    option: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WatchLabels {
    resource: &'static str,
}

/// When the serving certificate ends, read when somebody asks.
#[derive(Debug)]
struct Expiry(Arc<Keys>);

/// How far what is known of the cluster is behind it, read when somebody asks.
#[derive(Debug)]
struct Lag(Vec<WatchHealth>);

/// What images themselves count, read when somebody asks.
#[derive(Debug)]
struct Inspections(Images);

/// What became of Events, read when somebody asks.
#[derive(Debug)]
struct Told(Events);

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let reviews = Family::default();
        let duration = Histogram::new(DURATION_BUCKETS);
        let findings = Family::default();
        let injected = Family::default();
        let panics = Counter::default();
        let handshakes_failed = Counter::default();
        let connections_refused = Counter::default();
        let mut registry = Registry::with_prefix("muslin");
        registry.register("reviews", "Admission reviews answered", reviews.clone());
        registry.register_with_unit(
            "review_duration",
            "Time from a review's header to its answer",
            Unit::Seconds,
            duration.clone(),
        );
        registry.register("findings", "Rules that fired, mended or not", findings.clone());
        registry.register("injected_options", "Options set in pods, by their name", injected.clone());
        registry.register("panics", "Reviews in which muslin itself failed", panics.clone());
        registry.register("handshakes_failed", "TLS handshakes that did not succeed", handshakes_failed.clone());
        registry.register(
            "connections_refused",
            "Connections closed because there were too many",
            connections_refused.clone(),
        );
        Self { registry, reviews, duration, findings, injected, panics, handshakes_failed, connections_refused }
    }
}

impl Metrics {
    /// All of it in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }

    /// Tells also when the serving certificate ends.
    pub fn tell_expiry(&mut self, keys: Arc<Keys>) {
        self.registry.register_collector(Box::new(Expiry(keys)));
    }

    /// Tells also how far these watches are behind.
    pub fn tell_lag(&mut self, watches: Vec<WatchHealth>) {
        self.registry.register_collector(Box::new(Lag(watches)));
    }

    /// Tells also how the inspections of these images go.
    pub fn count_inspections(&mut self, images: &Images) {
        self.registry.register_collector(Box::new(Inspections(images.clone())));
    }

    /// Tells also what becomes of Events.
    pub fn count_events(&mut self, events: &Events) {
        self.registry.register_collector(Box::new(Told(events.clone())));
    }

    pub(super) fn reviewed(&self, hook: &'static str, outcome: Outcome, mode: Option<Mode>, took: Duration) {
        let labels = ReviewLabels { hook, outcome: outcome.name(), mode: mode.map_or("none", Mode::name) };
        self.reviews.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Where a rule that fired is counted. Looked up once for all pods of a template.
    pub(super) fn found(&self, rule: &'static Rule, level: Level) -> Counter {
        self.findings.get_or_create(&FindingLabels { rule: rule.slug, level: level.name() }).clone()
    }

    /// Where an option that was injected is counted.
    pub(super) fn injected(&self, option: &'static str) -> Counter {
        self.injected.get_or_create(&OptionLabels { option }).clone()
    }

    pub(super) fn panicked(&self) {
        self.panics.inc();
    }

    pub(super) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    pub(super) fn connection_refused(&self) {
        self.connections_refused.inc();
    }
}

// === impl Inspections ===

impl Collector for Inspections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let InspectionCounts { succeeded, failed, dropped, hits, misses } = self.0.counts();
        let mut count = |name, help, counter: &AtomicU64| {
            let counter = ConstCounter::new(counter.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        count("inspections_read", "Images that were read", succeeded)?;
        count("inspections_failed", "Images that could not be read", failed)?;
        count("inspections_given_up", "Images that were not read because too many waited", dropped)?;
        count("image_lookups_known", "Images of pods that were known when they were asked about", hits)?;
        count("image_lookups_unknown", "Images of pods that were not known in time", misses)?;
        let known = ConstGauge::new(i64::try_from(self.0.len()).unwrap_or(i64::MAX));
        known.encode(encoder.encode_descriptor(
            "images",
            "Images that are remembered",
            None,
            known.metric_type(),
        )?)?;
        let waiting = ConstGauge::new(i64::try_from(self.0.waiting()).unwrap_or(i64::MAX));
        let help = "Images whose inspection has not begun";
        waiting.encode(encoder.encode_descriptor("inspections_waiting", help, None, waiting.metric_type())?)
    }
}

// === impl Told ===

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let EventTally { written, dropped, failed } = self.0.tally();
        let mut count = |name, help, counter: &AtomicU64| {
            let counter = ConstCounter::new(counter.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        count("events_written", "Events that were written", written)?;
        count("events_dropped", "Pods that were not told of, as there were too many at once", dropped)?;
        count("events_failed", "Pods of which something could not be told", failed)
    }
}

// === impl Expiry ===

impl Collector for Expiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(seconds) = self.0.expiry_seconds() else { return Ok(()) };
        let expiry = ConstGauge::new(seconds);
        let help = "When the serving certificate stops to be valid, in seconds since 1970";
        let unit = Unit::Seconds;
        expiry.encode(encoder.encode_descriptor("certificate_expiry", help, Some(&unit), expiry.metric_type())?)
    }
}

// === impl Lag ===

impl Collector for Lag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "For how long a watch of the cluster has been broken; 0 while it works";
        let lag = Family::<WatchLabels, Gauge<f64, AtomicU64>>::default();
        for watch in &self.0 {
            lag.get_or_create(&WatchLabels { resource: watch.resource() }).set(watch.down_for().as_secs_f64());
        }
        lag.encode(encoder.encode_descriptor("watch_lag", help, Some(&Unit::Seconds), lag.metric_type())?)
    }
}

// === impl Outcome ===

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Denied => "denied",
            Self::Skipped => "skipped",
            Self::BadRequest => "bad_request",
            Self::Failed => "failed",
        }
    }
}
