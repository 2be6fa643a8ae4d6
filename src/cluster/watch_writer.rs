//! Writes what a watch on a node sees to the cluster: the node's `DNSObservation`, and Events about verdicts on the watcher's pod and on
//! the Deployment of the cluster's DNS. Must not know how a watch works.
//!
//! A fault of that DNS shows on every node at once. Events on its Deployment have names made from the verdict and the time, so that of a
//! thousand nodes the first one's Event is stored and the others' are refused as existing.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::events::{event_name, stable_hash};
use super::resources::{DNSObservationSpec, ObservedDomain, ObservedWatch, StandingVerdict};
use super::search_domains::publish_watch;
use super::writes::{WriteError, write};
use crate::policy::DomainFault;
use crate::rules::{DNS_FAULT, DNS_FAULT_ENDED};
use crate::text::Line;

/// The namespace and the names of the cluster's DNS: of kubeadm, k3s, kOps, EKS and AKS, of RKE2, and of GKE.
const DNS_NAMESPACE: &str = "kube-system";
const DNS_NAMES: [&str; 3] = ["coredns", "rke2-coredns-rke2-coredns", "kube-dns"];

/// The longest note of an Event, in bytes (kubernetes `pkg/apis/core/validation/events.go`, `NoteLengthLimit`).
const NOTE_MAX: usize = 1024;

/// Time for which one Event on the cluster's DNS about a verdict stands for those of all nodes.
const SHARED_FOR: i64 = 600;
/// The longest random pause before an Event on the cluster's DNS, so that not every node asks the API server at once.
const SPREAD_MAX: Duration = Duration::from_secs(10);

/// Time after which what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// The most Events that wait; the oldest are dropped.
const WAITING_MAX: usize = 32;
/// The most reports that wait for the writer.
const REPORTS_MAX: usize = 8;

/// The most nameservers of an observation, as in its schema.
const NAMESERVERS_MAX: usize = 3;

/// The watcher's node and pod.
#[derive(Clone, Debug)]
pub struct WatcherPod {
    /// The node.
    pub node: String,
    /// The pod's name.
    pub name: String,
    /// The pod's namespace and uid; `None` outside of a pod.
    pub place: Option<(String, String)>,
}

/// The state of a watch, and its changes.
#[derive(Clone, Debug)]
pub struct WatchReport {
    /// The nameservers that are asked.
    pub nameservers: Vec<IpAddr>,
    /// The search domains and their answers.
    pub domains: Vec<ObservedDomain>,
    /// The state of the watch.
    pub watch: ObservedWatch,
    /// The verdicts that began or ended.
    pub changes: Vec<VerdictChange>,
}

/// A verdict that began or ended.
#[derive(Clone, Debug)]
pub struct VerdictChange {
    /// The verdict.
    pub verdict: StandingVerdict,
    /// The best advice.
    pub help: Option<String>,
    /// The verdict began.
    pub is_raised: bool,
}

/// The Deployment of the cluster's DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsDeployment {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A writer in a task of its own, so that a silent API server delays no round.
pub struct WatchWriter(mpsc::Sender<WatchReport>);

struct Writer<T> {
    client: Client,
    pod: WatcherPod,
    /// The places where the Deployment of the cluster's DNS may be.
    dns: Vec<DnsDeployment>,
    on_trouble: T,
    /// The observation that is not written yet.
    unwritten: Option<DNSObservationSpec>,
    waiting: VecDeque<WaitingEvent>,
    /// The last trouble, which is not shown again.
    shown: Option<String>,
}

/// An Event that is not written yet.
#[derive(Clone, Debug)]
struct WaitingEvent {
    change: VerdictChange,
    at: Timestamp,
    /// The Event is about the cluster's DNS instead of the watcher's pod.
    on_dns: bool,
}

// === impl WatcherPod ===

impl WatcherPod {
    /// Returns the pod that the environment names: `POD_NAME`, `POD_NAMESPACE` and `POD_UID`, or else the host's name.
    pub fn of_environment(node: &str) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        let name = variable("POD_NAME").or_else(host).unwrap_or_else(|| node.to_owned());
        let place = variable("POD_NAMESPACE").zip(variable("POD_UID"));
        Self { node: node.to_owned(), name, place }
    }
}

// === impl DnsDeployment ===

impl DnsDeployment {
    /// Returns the places where installers put it.
    fn usual() -> Vec<Self> {
        DNS_NAMES.map(|name| Self { namespace: DNS_NAMESPACE.to_owned(), name: name.to_owned() }).into()
    }

    /// Returns a reference to it, if it exists and this pod may read it.
    async fn find(&self, client: &Client) -> Result<Option<ObjectReference>, WriteError> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &self.namespace);
        let found = match write(deployments.get_metadata_opt(&self.name)).await {
            Ok(found) => found,
            Err(error) if error.is_forbidden() => None,
            Err(error) => return Err(error),
        };
        let uid = found.and_then(|found| found.metadata.uid);
        Ok(uid.map(|uid| reference("apps/v1", "Deployment", &self.namespace, &self.name, uid)))
    }
}

// === impl WatchWriter ===

impl WatchWriter {
    /// Starts the writer. Needs the rights create and patch on dnsobservations, create on events of `events.k8s.io`, and get on the
    /// Deployment of the cluster's DNS: `dns`, or else the first of the usual ones. `on_trouble` gets a sentence when something cannot be
    /// written.
    pub fn start(
        client: Client,
        pod: WatcherPod,
        dns: Option<DnsDeployment>,
        on_trouble: impl Fn(Line) + Send + Sync + 'static,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(REPORTS_MAX);
        let dns = dns.map_or_else(DnsDeployment::usual, |given| vec![given]);
        let writer = Writer { client, pod, dns, on_trouble, unwritten: None, waiting: VecDeque::new(), shown: None };
        tokio::spawn(writer.run(receiver));
        Self(sender)
    }

    /// Passes a report on. If the writer is far behind, the report is dropped; a later one has the same state.
    pub fn send(&self, report: WatchReport) {
        let _ = self.0.try_send(report);
    }
}

// === impl Writer ===

impl<T: Fn(Line)> Writer<T> {
    async fn run(mut self, mut reports: mpsc::Receiver<WatchReport>) {
        loop {
            let is_done = self.unwritten.is_none() && self.waiting.is_empty();
            let report = if is_done { Ok(reports.recv().await) } else { timeout(AGAIN, reports.recv()).await };
            match report {
                Ok(Some(report)) => self.take(report),
                Ok(None) => return,
                Err(_) => {}
            }
            // Events say the most where the definition of DNSObservations is missing or older, so neither waits for the other.
            let observation = self.write_observation().await;
            match self.write_events().await.and(observation) {
                Ok(()) => self.shown = None,
                Err(error) => {
                    let is_missing = self.unwritten.is_some() && error.is_missing();
                    let help = if is_missing { "; run `muslin manifests crds | kubectl apply -f -`" } else { "" };
                    self.show(&format!("cannot write what the watch sees of {}: {error}{help}", self.pod.node));
                }
            }
        }
    }

    fn show(&mut self, trouble: &str) {
        if self.shown.as_deref() != Some(trouble) {
            (self.on_trouble)(Line::new(trouble.to_owned()));
            self.shown = Some(trouble.to_owned());
        }
    }

    fn take(&mut self, report: WatchReport) {
        let WatchReport { nameservers, domains, watch, changes } = report;
        let is_broken = |domain: &&ObservedDomain| DomainFault::named(&domain.answer).is_some();
        self.unwritten = Some(DNSObservationSpec {
            pod: self.pod.name.clone(),
            nameservers: nameservers.iter().take(NAMESERVERS_MAX).map(ToString::to_string).collect(),
            checked_at: Time(Timestamp::now()),
            broken: domains.iter().filter(is_broken).map(|domain| domain.domain.clone()).collect(),
            domains,
            watch: Some(watch),
        });
        let at = Timestamp::now();
        for change in changes {
            let event = |on_dns| WaitingEvent { change: change.clone(), at, on_dns };
            self.waiting.extend(self.pod.place.is_some().then(|| event(false)));
            self.waiting.push_back(event(true));
        }
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
        }
    }

    async fn write_observation(&mut self) -> Result<(), WriteError> {
        if let Some(spec) = &self.unwritten {
            publish_watch(self.client.clone(), &self.pod.node, spec.clone()).await?;
            self.unwritten = None;
        }
        Ok(())
    }

    /// Writes the waiting Events, up to the first that fails.
    async fn write_events(&mut self) -> Result<(), WriteError> {
        while let Some(waiting) = self.waiting.front() {
            let event = if waiting.on_dns { self.on_dns(waiting).await? } else { self.on_pod(waiting) };
            if let Some(event) = event {
                let namespace = event.metadata.namespace.clone().unwrap_or_default();
                let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
                match write(events.create(&PostParams::default(), &event)).await {
                    Ok(_) => {}
                    // Another node has reported the same, or the namespace is gone.
                    Err(error) if error.is_overtaken() || error.is_permanent() => {}
                    Err(error) => return Err(error),
                }
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Returns the Event on the watcher's pod.
    fn on_pod(&self, waiting: &WaitingEvent) -> Option<Event> {
        let WatcherPod { name, place, .. } = &self.pod;
        let (namespace, uid) = place.as_ref()?;
        let VerdictChange { verdict, is_raised, .. } = &waiting.change;
        let hash = stable_hash(&[uid, &verdict.verdict, &verdict.since.0.to_string(), state(*is_raised)]);
        Some(self.event(waiting, hash, reference("v1", "Pod", namespace, name, uid.clone())))
    }

    /// Returns the Event on the Deployment of the cluster's DNS, if it is found.
    async fn on_dns(&self, waiting: &WaitingEvent) -> Result<Option<Event>, WriteError> {
        sleep(SPREAD_MAX.mul_f64(random_share())).await;
        let mut regarding = None;
        for place in &self.dns {
            regarding = place.find(&self.client).await?;
            if regarding.is_some() {
                break;
            }
        }
        let Some(regarding) = regarding else { return Ok(None) };
        let VerdictChange { verdict, is_raised, .. } = &waiting.change;
        let time = (waiting.at.as_second() / SHARED_FOR).to_string();
        let uid = regarding.uid.clone().unwrap_or_default();
        let hash = stable_hash(&[&uid, &verdict.verdict, &time, state(*is_raised)]);
        Ok(Some(self.event(waiting, hash, regarding)))
    }

    fn event(&self, waiting: &WaitingEvent, hash: u64, regarding: ObjectReference) -> Event {
        let WaitingEvent { change: VerdictChange { verdict, help, is_raised }, at, on_dns: _ } = waiting;
        let (node, slug, text) = (&self.pod.node, &verdict.verdict, &verdict.text);
        let (reason, type_, note) = if *is_raised {
            let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
            (DNS_FAULT, "Warning", format!("DNS on node {node}: {slug}: {text}{help}"))
        } else {
            (DNS_FAULT_ENDED, "Normal", format!("DNS on node {node}: {slug} has ended"))
        };
        let name = event_name(regarding.name.as_deref().unwrap_or_default(), hash);
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: regarding.namespace.clone(), ..ObjectMeta::default() },
            regarding: Some(regarding),
            reason: Some(reason.to_owned()),
            note: Some(Line::cut(note, NOTE_MAX).into_string()),
            type_: Some(type_.to_owned()),
            action: Some("WatchDNS".to_owned()),
            event_time: Some(MicroTime(*at)),
            reporting_controller: Some("muslin".to_owned()),
            reporting_instance: Some(self.pod.name.clone()),
            ..Event::default()
        }
    }
}

fn reference(version: &str, kind: &str, namespace: &str, name: &str, uid: String) -> ObjectReference {
    ObjectReference {
        api_version: Some(version.to_owned()),
        kind: Some(kind.to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid),
        ..ObjectReference::default()
    }
}

const fn state(is_raised: bool) -> &'static str {
    if is_raised { "raised" } else { "cleared" }
}

/// Returns a number between 0 and 1 that differs between nodes.
fn random_share() -> f64 {
    let mut byte = [0];
    // If the system has no randomness, all nodes wait as long.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    f64::from(byte[0]) / f64::from(u8::MAX)
}
