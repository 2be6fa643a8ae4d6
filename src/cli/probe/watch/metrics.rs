//! The metrics of a watch. Labels have few values: at most [`SERVERS_MAX`] nameservers, 32 search domains, and words of muslin's own.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::probe::{DropCounters, LightRound, read_drop_counters};
use crate::verdicts::DIAGNOSES;
use crate::verdicts::observations::{AskedQuery, Code, QueryOutcome, Via};

/// The bounds of the histogram, in seconds: a cache on the node, a nameserver nearby, a distant one, a second try.
const DURATION_BUCKETS: [f64; 7] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5];

/// The most nameservers with series of their own: resolv.conf has three, and may change.
const SERVERS_MAX: usize = 6;
/// The label of further nameservers.
const OTHER: &str = "other";

/// The codes with which a series begins.
const CODES: [&str; 4] = ["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"];

/// The metrics of one watch.
pub(super) struct WatchMetrics {
    registry: Registry,
    duration: Family<ServerLabels, Histogram, fn() -> Histogram>,
    lost: Family<ServerLabels, Counter>,
    answers: Family<AnswerLabels, Counter>,
    verdicts: Family<VerdictLabels, Gauge>,
    domains: Family<DomainLabels, Gauge>,
    rounds: Counter,
    probes: Counter,
    queries: Counter,
    servers: Mutex<BTreeSet<String>>,
    step: Mutex<(Instant, bool)>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ServerLabels {
    nameserver: String,
    transport: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AnswerLabels {
    nameserver: String,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DomainLabels {
    domain: String,
    answer: &'static str,
}

/// The kernel's counters, read at scrape time.
#[derive(Debug)]
struct KernelDrops;

// === impl WatchMetrics ===

impl WatchMetrics {
    /// Returns the metrics, with a label for the node if it is known.
    pub(super) fn new(node: Option<&str>, servers: &[SocketAddr]) -> Self {
        let duration: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        let (lost, answers, verdicts, domains) =
            (Family::default(), Family::default(), Family::default(), Family::default());
        let (rounds, probes, queries) = (Counter::default(), Counter::default(), Counter::default());
        let labels = node.map(|node| (Cow::Borrowed("node"), Cow::Owned(node.to_owned())));
        let mut registry = Registry::with_prefix_and_labels("muslin_probe", labels.into_iter());
        let help = "Time until a nameserver's answer to a query of a round";
        registry.register_with_unit("query_duration", help, Unit::Seconds, duration.clone());
        registry.register("lost", "Queries of rounds that a nameserver did not answer", lost.clone());
        registry.register("answers", "Answers to queries of rounds, by response code", answers.clone());
        registry.register("verdict", "Is 1 while the verdict stands on this node", verdicts.clone());
        let help = "The answer of a search domain to names that do not exist; NXDOMAIN is right";
        registry.register("search_domain", help, domains.clone());
        registry.register("rounds", "Small rounds that have ended", rounds.clone());
        registry.register("full_probes", "Full probes that have ended", probes.clone());
        registry.register("queries", "Queries sent, of rounds, of full probes and for search domains", queries.clone());
        registry.register_collector(Box::new(KernelDrops));
        let metrics = Self {
            registry,
            duration,
            lost,
            answers,
            verdicts,
            domains,
            rounds,
            probes,
            queries,
            servers: Mutex::default(),
            step: Mutex::new((Instant::now(), false)),
        };
        for server in servers {
            metrics.count_from_zero(&metrics.label(*server));
        }
        metrics.set_verdicts(std::iter::empty());
        metrics
    }

    /// Returns all metrics in the OpenMetrics text format.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }

    /// Counts a round and its queries.
    pub(super) fn count_round(&self, round: &LightRound) {
        self.rounds.inc();
        self.queries.inc_by(round.sent.into());
        for AskedQuery { server, via, took, outcome, .. } in &round.asked {
            let nameserver = self.label(*server);
            let transport = if *via == Via::Udp { "udp" } else { "tcp" };
            let labels = ServerLabels { nameserver: nameserver.clone(), transport };
            match outcome {
                QueryOutcome::NotAsked => {}
                QueryOutcome::Answer(answer) => {
                    self.duration.get_or_create(&labels).observe(took.as_secs_f64());
                    self.answers.get_or_create(&AnswerLabels { nameserver, code: code(answer.code) }).inc();
                }
                _ => {
                    self.lost.get_or_create(&labels).inc();
                }
            }
        }
    }

    /// Counts a full probe.
    pub(super) fn count_probe(&self, sent: u32) {
        self.probes.inc();
        self.queries.inc_by(sent.into());
    }

    /// Counts queries that belong to no round and to no full probe.
    pub(super) fn count_queries(&self, sent: u32) {
        self.queries.inc_by(sent.into());
    }

    /// Sets the verdicts that stand. The others are 0, so that an alert sees them end.
    pub(super) fn set_verdicts(&self, standing: impl Iterator<Item = &'static str>) {
        let standing: BTreeSet<&str> = standing.collect();
        for diagnosis in DIAGNOSES {
            let gauge = self.verdicts.get_or_create_owned(&VerdictLabels { verdict: diagnosis.slug });
            gauge.set(standing.contains(diagnosis.slug).into());
        }
    }

    /// Sets the answers of the search domains.
    pub(super) fn set_domains(&self, domains: &BTreeMap<String, &'static str>) {
        self.domains.clear();
        for (domain, answer) in domains {
            self.domains.get_or_create(&DomainLabels { domain: domain.clone(), answer }).set(1);
        }
    }

    /// Notes that a step has ended, and whether a full probe has.
    pub(super) fn note_step(&self, has_probed: bool) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), has_probed);
    }

    /// Returns the time since the last step ended.
    pub(super) fn since_step(&self) -> Duration {
        self.step.lock().unwrap_or_else(PoisonError::into_inner).0.elapsed()
    }

    /// Returns whether a full probe has ended.
    pub(super) fn has_probed(&self) -> bool {
        self.step.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Returns the label of a nameserver.
    fn label(&self, server: SocketAddr) -> String {
        let address = server.ip().to_string();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.contains(&address) || servers.len() < SERVERS_MAX {
            servers.insert(address.clone());
            return address;
        }
        OTHER.to_owned()
    }

    /// Makes a nameserver's series, so that the first loss is an increase.
    fn count_from_zero(&self, nameserver: &str) {
        for transport in ["udp", "tcp"] {
            let labels = ServerLabels { nameserver: nameserver.to_owned(), transport };
            let _ = self.duration.get_or_create(&labels);
            let _ = self.lost.get_or_create(&labels);
        }
        for code in CODES {
            let _ = self.answers.get_or_create(&AnswerLabels { nameserver: nameserver.to_owned(), code });
        }
    }
}

/// Returns the code as a label.
const fn code(code: Code) -> &'static str {
    match code {
        Code::NoError => "NOERROR",
        Code::NxDomain => "NXDOMAIN",
        Code::ServFail => "SERVFAIL",
        Code::Refused => "REFUSED",
        Code::FormErr => "FORMERR",
        Code::NotImp => "NOTIMP",
        Code::Other(_) => OTHER,
    }
}

// === impl KernelDrops ===

impl Collector for KernelDrops {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let DropCounters { receive_buffer, send_buffer, checksum, conntrack } = read_drop_counters();
        let mut counts =
            vec![("udp_receive_buffer", receive_buffer), ("udp_send_buffer", send_buffer), ("udp_checksum", checksum)];
        if let Some(conntrack) = conntrack {
            counts.extend([("conntrack_insert_failed", conntrack.insert_failed), ("conntrack_drop", conntrack.drop)]);
        }
        let help = "Packets that the kernel dropped in the network namespace of the watch";
        let mut family = encoder.encode_descriptor("kernel_drops", help, None, MetricType::Counter)?;
        for (kind, count) in counts {
            ConstCounter::new(count).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{Answer, Purpose, QueryType};

    fn asked(server: SocketAddr, code: u16) -> AskedQuery {
        AskedQuery {
            purpose: Purpose::Name,
            server,
            via: Via::Udp,
            name: format!("name{code}"),
            kind: QueryType::A,
            edns: None,
            took: Duration::from_millis(3),
            outcome: QueryOutcome::Answer(Answer { code: Code::Other(code), ..Answer::default() }),
        }
    }

    #[test]
    fn the_number_of_series_is_bounded_whatever_is_answered() {
        let servers: Vec<SocketAddr> =
            (0..200_u16).map(|last| SocketAddr::from(([10, 0, 0, last.to_le_bytes()[0]], 53))).collect();
        let metrics = WatchMetrics::new(Some("node-1"), &servers[..3]);
        for code in 0..500 {
            let asked = servers.iter().map(|server| asked(*server, code)).collect();
            metrics.count_round(&LightRound { asked, sent: 1 });
        }
        let domains: BTreeMap<String, &'static str> =
            (0..32).map(|number| (format!("d{number}.test"), "NXDOMAIN")).collect();
        for _ in 0..10 {
            metrics.set_domains(&domains);
        }
        let text = metrics.text();
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(series < 260, "{series}");
        assert!(text.contains(r#"nameserver="other""#) && text.contains(r#"node="node-1""#), "{text}");
    }

    #[test]
    fn a_verdict_is_0_before_and_after_it_stands() {
        let metrics = WatchMetrics::new(None, &[]);
        let value = |metrics: &WatchMetrics| {
            let text = metrics.text();
            let line = text.lines().find(|line| line.contains(r#"verdict="fake-ip""#)).map(str::to_owned);
            line.and_then(|line| line.rsplit(' ').next().map(str::to_owned)).unwrap()
        };
        assert_eq!(value(&metrics), "0");
        metrics.set_verdicts(["fake-ip"].into_iter());
        assert_eq!(value(&metrics), "1");
        metrics.set_verdicts(std::iter::empty());
        assert_eq!(value(&metrics), "0");
    }
}
