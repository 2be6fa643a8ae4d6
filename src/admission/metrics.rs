//! The webhook's metrics for Prometheus. No label names a pod or an image, and namespaces are bounded (`namespace_findings.rs`), so that
//! the number of series does not grow with the cluster.

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
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::cluster::{
    EventTally, Events, MissedPods, NodeCaches, Policies, PolicyCounts, Profiles, ReportState, SearchDomains,
    WatchHealth,
};
use crate::plan::Planned;
use crate::policy::Mode;
use crate::registry::{Images, InspectionCounts};
use crate::resolver::known_options;

use super::namespace_findings::NamespaceFindings;
#[cfg(target_os = "linux")]
use super::process_metrics::ProcessMetrics;
use super::report_metrics::ReportMetrics;
use super::rollout_metrics::Rollouts;
use super::serving::Keys;

/// The bounds of the duration histogram, in seconds: from well below an ordinary review to the API server's longest wait.
const DURATION_BUCKETS: [f64; 11] = [25e-6, 50e-6, 100e-6, 250e-6, 1e-3, 5e-3, 25e-3, 0.1, 0.5, 2.0, 10.0];

/// The prefix of muslin's own metrics.
const PREFIX: &str = "muslin";

/// The label `mode` of a review without one.
const NO_MODE: &str = "none";

/// The metrics of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    duration: Family<HookLabels, Histogram, fn() -> Histogram>,
    findings: Family<FindingLabels, Counter>,
    namespace_findings: NamespaceFindings,
    injected: Family<OptionLabels, Counter>,
    panics: Counter,
    handshakes_failed: Counter,
    connections_refused: Counter,
}

/// The outcome of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The pod was changed.
    Changed,
    /// The pod needed no change.
    Unchanged,
    /// The object was denied.
    Denied,
    /// The pod was skipped, by its namespace's mode, its own opt-out, or its kind.
    Skipped,
    /// The request was not a valid review.
    BadRequest,
    /// The namespace's policy was not known in time, or muslin itself failed.
    Failed,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReviewLabels {
    hook: &'static str,
    outcome: &'static str,
    mode: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HookLabels {
    hook: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FindingLabels {
    rule: &'static str,
    level: &'static str,
    fixed: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    revision: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OptionLabels {
    option: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WatchLabels {
    resource: &'static str,
}

/// The expiry of the serving certificate, collected at scrape time.
#[derive(Debug)]
struct CertificateExpiry(Arc<Keys>);

/// Watch lag, collected at scrape time.
#[derive(Debug)]
struct WatchLag(Vec<WatchHealth>);

/// The counters of image inspections, collected at scrape time.
#[derive(Debug)]
struct Inspections(Images);

/// The counters of Events, collected at scrape time.
#[derive(Debug)]
struct EventCounts(Events);

/// The number of missed pods, collected at scrape time.
#[derive(Debug)]
struct MissedPodCount(MissedPods);

/// The admission policies, collected at scrape time.
#[derive(Debug)]
struct PolicyMetrics(Policies);

/// The trials of caches on the node, collected at scrape time. The addresses are an admin's, and few.
#[derive(Debug)]
struct CacheTrials(NodeCaches);

/// The broken search domains that this pod checks, counted at scrape time.
#[derive(Debug)]
struct DomainChecks(SearchDomains);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AddressLabels {
    address: String,
}

/// The number of dropped log lines, collected at scrape time.
struct DroppedLogLines(Box<dyn Fn() -> u64 + Send + Sync>);

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let reviews = Family::default();
        let duration: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        let findings = Family::default();
        let namespace_findings = NamespaceFindings::default();
        let injected = Family::default();
        let panics = Counter::default();
        let handshakes_failed = Counter::default();
        let connections_refused = Counter::default();
        let mut root = Registry::default();
        #[cfg(target_os = "linux")]
        root.sub_registry_with_prefix("process").register_collector(Box::new(ProcessMetrics));
        let registry = root.sub_registry_with_prefix(PREFIX);
        registry.register("reviews", "Admission reviews answered", reviews.clone());
        registry.register_with_unit(
            "review_duration",
            "Time from the header of a review to its answer",
            Unit::Seconds,
            duration.clone(),
        );
        registry.register("findings", "Findings on pods, fixed or left", findings.clone());
        registry.register_collector(Box::new(namespace_findings.clone()));
        registry.register("injected_options", "Options set in pods, by name", injected.clone());
        registry.register("panics", "Reviews in which muslin itself failed", panics.clone());
        registry.register("handshakes_failed", "TLS handshakes that failed", handshakes_failed.clone());
        registry.register(
            "connections_refused",
            "Connections closed because too many were open",
            connections_refused.clone(),
        );
        Self {
            registry: root,
            reviews,
            duration,
            findings,
            namespace_findings,
            injected,
            panics,
            handshakes_failed,
            connections_refused,
        }
    }
}

impl Metrics {
    /// Returns all metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }

    /// Returns a registry of muslin's own metrics.
    fn muslin(&mut self) -> &mut Registry {
        self.registry.sub_registry_with_prefix(PREFIX)
    }

    /// Adds muslin's release, and the commit if the build named it.
    pub fn register_build(&mut self, version: &'static str, commit: Option<&'static str>) {
        let labels = BuildLabels { version, revision: commit.unwrap_or("unknown") };
        self.muslin().register("build", "The release of muslin", Info::new(labels));
    }

    /// Adds the expiry of the serving certificate.
    pub fn register_certificate(&mut self, keys: Arc<Keys>) {
        self.muslin().register_collector(Box::new(CertificateExpiry(keys)));
    }

    /// Adds the lag of these watches.
    pub fn register_watches(&mut self, watches: Vec<WatchHealth>) {
        self.muslin().register_collector(Box::new(WatchLag(watches)));
    }

    /// Adds the counters of image inspections.
    pub fn register_images(&mut self, images: &Images) {
        self.muslin().register_collector(Box::new(Inspections(images.clone())));
    }

    /// Adds the counters of Events.
    pub fn register_events(&mut self, events: &Events) {
        self.muslin().register_collector(Box::new(EventCounts(events.clone())));
    }

    /// Adds the number of missed pods.
    pub fn register_missed_pods(&mut self, missed: &MissedPods) {
        self.muslin().register_collector(Box::new(MissedPodCount(missed.clone())));
    }

    /// Adds the admission policies that the leader keeps.
    pub fn register_policies(&mut self, policies: &Policies) {
        self.muslin().register_collector(Box::new(PolicyMetrics(policies.clone())));
    }

    /// Adds the reports of findings, and returns their state, which the leader sets.
    pub fn register_reports(&mut self) -> Arc<ReportState> {
        let state = Arc::default();
        self.muslin().register_collector(Box::new(ReportMetrics(Arc::clone(&state))));
        state
    }

    /// Adds the results of the trials of caches on the node.
    pub fn register_node_caches(&mut self, caches: &NodeCaches) {
        self.muslin().register_collector(Box::new(CacheTrials(caches.clone())));
    }

    /// Adds the results of the checks of search domains.
    pub fn register_search_domains(&mut self, domains: &SearchDomains) {
        self.muslin().register_collector(Box::new(DomainChecks(domains.clone())));
    }

    /// Adds the rollouts of profiles.
    pub fn register_rollouts(&mut self, profiles: &Profiles) {
        self.muslin().register_collector(Box::new(Rollouts(profiles.clone())));
    }

    /// Adds the number of log lines that were dropped, which `count` returns.
    pub fn register_dropped_log_lines(&mut self, count: impl Fn() -> u64 + Send + Sync + 'static) {
        self.muslin().register_collector(Box::new(DroppedLogLines(Box::new(count))));
    }

    pub(super) fn count_review(&self, hook: &'static str, outcome: Outcome, mode: Option<Mode>, took: Duration) {
        let labels = ReviewLabels { hook, outcome: outcome.name(), mode: mode.map_or(NO_MODE, Mode::name) };
        self.reviews.get_or_create(&labels).inc();
        self.duration.get_or_create(&HookLabels { hook }).observe(took.as_secs_f64());
    }

    /// Makes a hook's series, so that the first failure is an increase, and a sum of nothing is 0.
    pub(super) fn count_from_zero(&self, hook: &'static str) {
        for outcome in Outcome::ALL {
            let _ = self.reviews.get_or_create(&ReviewLabels { hook, outcome: outcome.name(), mode: NO_MODE });
        }
        for mode in Mode::ALL {
            let outcome = Outcome::Failed.name();
            let _ = self.reviews.get_or_create(&ReviewLabels { hook, outcome, mode: mode.name() });
        }
        let _ = self.duration.get_or_create(&HookLabels { hook });
    }

    /// Counts the findings on a pod of a namespace.
    pub(super) fn count_findings(&self, findings: &[Planned], namespace: &str) {
        for Planned { finding, fixed } in findings {
            let fixed = if *fixed { "true" } else { "false" };
            let labels = FindingLabels { rule: finding.rule.slug, level: finding.level.name(), fixed };
            self.findings.get_or_create(&labels).inc();
        }
        self.namespace_findings.count(namespace, findings.iter().map(|planned| (planned.finding.level, planned.fixed)));
    }

    /// Counts an injected option such as `timeout:5`, by its name.
    pub(super) fn count_injected(&self, option: &str) {
        let name = option.split(':').next().unwrap_or_default();
        // Any name can stand in a pod's claim; only known ones become labels.
        let option = known_options().find(|known| *known == name).unwrap_or("other");
        self.injected.get_or_create(&OptionLabels { option }).inc();
    }

    pub(super) fn count_panic(&self) {
        self.panics.inc();
    }

    pub(super) fn count_failed_handshake(&self) {
        self.handshakes_failed.inc();
    }

    pub(super) fn count_refused_connection(&self) {
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
        count("inspections_read", "Images inspected", succeeded)?;
        count("inspections_failed", "Images whose inspection failed", failed)?;
        count("inspections_given_up", "Images not inspected because too many were waiting", dropped)?;
        count("image_lookups_known", "Images of pods that were known at the review", hits)?;
        count("image_lookups_unknown", "Images of pods that were not known in time for the review", misses)?;
        let known = ConstGauge::new(i64::try_from(self.0.len()).unwrap_or(i64::MAX));
        known.encode(encoder.encode_descriptor("images", "Images in memory", None, known.metric_type())?)?;
        let waiting = ConstGauge::new(i64::try_from(self.0.waiting()).unwrap_or(i64::MAX));
        let help = "Images waiting for their inspection";
        waiting.encode(encoder.encode_descriptor("inspections_waiting", help, None, waiting.metric_type())?)
    }
}

// === impl PolicyMetrics ===

impl Collector for PolicyMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.state().counts();
        let PolicyCounts { objects, images, left_out, profiles, other_profiles, .. } = counts;
        let PolicyCounts { is_separated, is_served, failures, pods, .. } = counts;
        let mut count = |name, help, value| {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        count("policy_pods", "Pods that admission policies changed instead of the webhook", pods)?;
        count("policy_failures", "Problems in keeping the admission policies", failures)?;
        let mut gauge = |name, help, value: usize| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let help = "1 if the API server has MutatingAdmissionPolicy, without which the webhook changes all pods";
        gauge("policies_served", help, usize::from(is_served))?;
        gauge("policy_objects", "Admission policies and bindings that the leader keeps", objects)?;
        gauge("policy_images", "Images that the admission policies know", images)?;
        gauge(
            "policy_images_left_out",
            "Known images for which the admission policies have no room or no answer",
            left_out,
        )?;
        gauge("policy_profiles", "Profiles in use with admission policies", profiles)?;
        gauge("policy_profiles_left_out", "Profiles in use whose pods only the webhook changes", other_profiles)?;
        let help = "1 if API servers do not call the webhook for pods that admission policies changed";
        gauge("policies_replace_webhook", help, usize::from(is_separated))
    }
}

// === impl EventCounts ===

impl Collector for EventCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let EventTally { written, dropped, failed } = self.0.tally();
        let mut count = |name, help, counter: &AtomicU64| {
            let counter = ConstCounter::new(counter.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        count("events_written", "Events written", written)?;
        count("events_dropped", "Pods without an Event because too many were waiting", dropped)?;
        count("events_failed", "Pods with an Event that could not be written", failed)
    }
}

// === impl MissedPodCount ===

impl Collector for MissedPodCount {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let missed = ConstCounter::new(self.0.count());
        let help =
            "Pods created without a review in namespaces of mode warn or above, while this replica was the leader";
        missed.encode(encoder.encode_descriptor("pods_missed", help, None, missed.metric_type())?)
    }
}

// === impl CacheTrials ===

impl Collector for CacheTrials {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 if a cache on the node answered muslin's pod in the last trial, and 0 if not";
        let reachable = Family::<AddressLabels, Gauge>::default();
        for (address, fault) in self.0.tried() {
            let labels = AddressLabels { address: address.to_string() };
            reachable.get_or_create(&labels).set(i64::from(fault.is_none()));
        }
        reachable.encode(encoder.encode_descriptor("node_local_reachable", help, None, reachable.metric_type())?)
    }
}

// === impl DomainChecks ===

impl Collector for DomainChecks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Search domains of muslin's own pod that break lookups; 0 while no profile uses search";
        let broken = self.0.checked().iter().filter(|(_, fault)| fault.is_some()).count();
        let broken = ConstGauge::new(i64::try_from(broken).unwrap_or(i64::MAX));
        broken.encode(encoder.encode_descriptor("search_domains_broken", help, None, broken.metric_type())?)
    }
}

// === impl CertificateExpiry ===

impl Collector for CertificateExpiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(seconds) = self.0.expiry_seconds() else { return Ok(()) };
        let expiry = ConstGauge::new(seconds);
        let help = "When the serving certificate expires, in seconds since 1970";
        let unit = Unit::Seconds;
        expiry.encode(encoder.encode_descriptor("certificate_expiry", help, Some(&unit), expiry.metric_type())?)
    }
}

// === impl DroppedLogLines ===

impl fmt::Debug for DroppedLogLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DroppedLogLines")
    }
}

impl Collector for DroppedLogLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(count) = self;
        let dropped = ConstCounter::new(count());
        let help = "Log lines dropped because their reader was too slow, or there were too many of one kind";
        dropped.encode(encoder.encode_descriptor("log_lines_dropped", help, None, dropped.metric_type())?)
    }
}

// === impl WatchLag ===

impl Collector for WatchLag {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time since a watch of the cluster broke; 0 while it works";
        let lag = Family::<WatchLabels, Gauge<f64, AtomicU64>>::default();
        for watch in &self.0 {
            lag.get_or_create(&WatchLabels { resource: watch.resource() }).set(watch.down_for().as_secs_f64());
        }
        lag.encode(encoder.encode_descriptor("watch_lag", help, Some(&Unit::Seconds), lag.metric_type())?)
    }
}

// === impl Outcome ===

impl Outcome {
    const ALL: [Self; 6] =
        [Self::Changed, Self::Unchanged, Self::Denied, Self::Skipped, Self::BadRequest, Self::Failed];

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
