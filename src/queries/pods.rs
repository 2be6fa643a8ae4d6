//! The pods that clients are, by their addresses, as `kubectl get pods -A -o json` and the API server show them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::search_list::SearchList;
use crate::image;
use crate::pod::{Pod, RESOLVERS_ANNOTATION};
use crate::resolver::Family;

/// The most seconds by which the clocks of a kubelet and of CoreDNS's node differ: time synchronization keeps nodes far below that.
const CLOCKS_DIFFER: i64 = 10;

/// Labels that controllers give to each pod, or to each revision (kubernetes `pkg/apis/apps`, `pkg/apis/batch`; Argo Rollouts): no selector
/// can name them.
const GENERATED_LABELS: [&str; 9] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/",
    "rollouts-pod-template-hash",
];

/// The domains of labels that webhooks and the scheduler add to pods. A new pod has none of them when muslin selects its profile.
const ADDED_LABELS: [&str; 5] = ["muslin.dev", "istio.io", "linkerd.io", "kuma.io", "topology.kubernetes.io"];

/// The top-level object that a pod belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub struct WorkloadName {
    /// The namespace.
    pub namespace: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// Pods, by address.
#[derive(Default)]
pub struct Pods {
    pods: Vec<ClientPod>,
    /// The indexes of the pods that have the address, or had it.
    by_address: HashMap<IpAddr, Vec<usize>>,
    nodes: HashSet<IpAddr>,
}

/// A pod as a client of DNS.
pub(super) struct ClientPod {
    /// Differs from that of any other pod, also of one with the same name at another time.
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) workload: WorkloadName,
    /// `None` if the pod has the node's file.
    pub(super) list: Option<SearchList>,
    /// The resolvers of its containers.
    pub(super) resolvers: BTreeSet<Family>,
    labels: BTreeMap<String, String>,
    is_running: bool,
    /// The time when its kubelet saw it first, before any of its containers ran.
    started: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ListOrPod<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct PodItem {
    metadata: PodMetadata,
    #[serde(default)]
    spec: Option<PodSpec>,
    #[serde(default)]
    status: Option<PodStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    owner_references: Option<Vec<Owner>>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    #[serde(default)]
    host_network: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus {
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    start_time: Option<String>,
    #[serde(rename = "podIP", default)]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs", default)]
    pod_ips: Option<Vec<Address>>,
    #[serde(rename = "hostIP", default)]
    host_ip: Option<String>,
    #[serde(rename = "hostIPs", default)]
    host_ips: Option<Vec<Address>>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(default)]
    ip: Option<String>,
}

// === impl Pods ===

impl Pods {
    /// Reads a list of pods, or one pod.
    ///
    /// # Errors
    /// The text is not JSON, or not of pods.
    pub fn from_json(text: &str, cluster_domain: &str) -> Result<Self, serde_json::Error> {
        let mut pods = Self::default();
        match serde_json::from_str::<ListOrPod<'_>>(text)?.items {
            Some(items) => items.into_iter().try_for_each(|item| pods.add(item.get(), cluster_domain))?,
            None => pods.add(text, cluster_domain)?,
        }
        Ok(pods)
    }

    /// Adds one pod, as JSON.
    ///
    /// # Errors
    /// The text is not that of a pod.
    pub fn add(&mut self, json: &str, cluster_domain: &str) -> Result<(), serde_json::Error> {
        let PodItem { metadata, spec, status } = serde_json::from_str(json)?;
        let status = status.unwrap_or_default();
        self.nodes.extend(addresses(status.host_ips, status.host_ip));
        let namespace = metadata.namespace.unwrap_or_else(|| "default".to_owned());
        let pod: Pod<'_> = serde_json::from_str(json)?;
        let annotation = metadata.annotations.as_ref().and_then(|annotations| annotations.get(RESOLVERS_ANNOTATION));
        let resolvers = resolvers(&pod, annotation.map(String::as_str));
        let conf = pod.dns().resolv_conf(&namespace, cluster_domain);
        let labels = metadata.labels.unwrap_or_default();
        let owner = metadata.owner_references.into_iter().flatten().find(|owner| owner.controller);
        let mut id = DefaultHasher::new();
        (&namespace, &metadata.name, &metadata.uid).hash(&mut id);
        let pod = ClientPod {
            id: id.finish(),
            workload: workload(namespace, owner, &metadata.name, &labels),
            name: metadata.name,
            list: SearchList::of(&conf),
            resolvers,
            labels,
            is_running: matches!(status.phase.as_deref(), None | Some("Running" | "Pending")),
            started: status.start_time.and_then(|time| time.parse().ok()),
        };
        let is_on_node = spec.is_some_and(|spec| spec.host_network == Some(true));
        let own: HashSet<IpAddr> = addresses(status.pod_ips, status.pod_ip).filter(|_| !is_on_node).collect();
        for address in own {
            self.by_address.entry(address).or_default().push(self.pods.len());
        }
        self.pods.push(pod);
        Ok(())
    }

    /// Returns the number of pods.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Returns whether there is no pod.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// Returns the pod that had an address at a time: a pod asks nothing before it starts, and an address is given again. Without a time
    /// the running one counts.
    pub(super) fn at(&self, address: IpAddr, time: Option<Timestamp>) -> Option<&ClientPod> {
        let pods = self.holders(address);
        match time {
            None => pods.max_by_key(|pod| (pod.is_running, pod.started)),
            Some(time) => {
                let has_started =
                    |started: Timestamp| started.as_second() <= time.as_second().saturating_add(CLOCKS_DIFFER);
                pods.filter(|pod| pod.started.is_none_or(has_started)).max_by_key(|pod| (pod.started, pod.is_running))
            }
        }
    }

    /// Returns the pods that have an address, or had it.
    pub(super) fn holders(&self, address: IpAddr) -> impl Iterator<Item = &ClientPod> {
        self.by_address.get(&address).into_iter().flatten().filter_map(|index| self.pods.get(*index))
    }

    pub(super) fn is_node(&self, address: IpAddr) -> bool {
        self.nodes.contains(&address)
    }

    /// Returns the labels that all pods of a workload have in common, apart from those that controllers generate and that others add.
    pub fn labels_of(&self, workload: &WorkloadName) -> BTreeMap<String, String> {
        let mut pods = self.pods.iter().filter(|pod| pod.workload == *workload);
        let mut common = pods.next().map(|pod| pod.labels.clone()).unwrap_or_default();
        for pod in pods {
            common.retain(|key, value| pod.labels.get(key) == Some(value));
        }
        let is_generated = |key: &str| GENERATED_LABELS.iter().any(|generated| key.starts_with(generated));
        let is_added = |key: &str| {
            let domain = key.split_once('/').map_or("", |(domain, _)| domain);
            ADDED_LABELS.iter().any(|added| {
                domain.strip_suffix(added).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            })
        };
        common.retain(|key, _| !is_generated(key) && !is_added(key));
        common
    }

    /// Returns the workloads of a namespace with a pod whose labels meet a condition.
    pub fn workloads_with(
        &self,
        namespace: &str,
        meets: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> BTreeSet<&WorkloadName> {
        let pods = self.pods.iter().filter(|pod| pod.workload.namespace == namespace && meets(&pod.labels));
        pods.map(|pod| &pod.workload).collect()
    }
}

/// Returns the valid ones of several addresses; a pod that waits has none, or an empty one.
fn addresses(several: Option<Vec<Address>>, one: Option<String>) -> impl Iterator<Item = IpAddr> {
    let texts = several.into_iter().flatten().filter_map(|address| address.ip).chain(one);
    texts.filter_map(|text| Some(text.parse::<IpAddr>().ok()?.to_canonical()))
}

/// Returns the resolvers of a pod's containers: as muslin wrote them into the pod's annotation, or else as the images' names suggest.
fn resolvers(pod: &Pod<'_>, annotation: Option<&str>) -> BTreeSet<Family> {
    let written = |container: &str| {
        let mut entries = annotation?.split(", ").filter_map(|entry| entry.split_once('='));
        let (_, resolver) = entries.find(|(name, _)| *name == container)?;
        let name = resolver.split([' ', '+']).next()?;
        Family::NAMED.into_iter().find(|family| {
            name.strip_prefix(family.name()).is_some_and(|release| release.is_empty() || release.starts_with('-'))
        })
    };
    let assumed = |container: &crate::pod::Container<'_>| {
        image::assume_started(container.image(), container.started().as_deref()).resolver.family
    };
    let family = |container: &crate::pod::Container<'_>| {
        written(container.name.as_deref()?).or_else(|| Some(assumed(container)))
    };
    pod.containers().map(|container| family(container).unwrap_or(Family::Unknown)).collect()
}

/// Returns the top-level object of a pod.
fn workload(namespace: String, owner: Option<Owner>, pod: &str, labels: &BTreeMap<String, String>) -> WorkloadName {
    let Some(Owner { kind, name, .. }) = owner else {
        return WorkloadName { namespace, kind: "Pod".to_owned(), name: pod.to_owned() };
    };
    let (kind, name) = top_level(&kind, &name, labels.get("pod-template-hash").map(String::as_str));
    let (kind, name) = (kind.to_owned(), name.to_owned());
    WorkloadName { namespace, kind, name }
}

/// Returns the kind and the name of a pod's top-level object, from its controller and its label `pod-template-hash`. A Deployment's and a
/// CronJob's name follow from what they generate (kubernetes `pkg/controller/deployment/sync.go`, `pkg/controller/cronjob/utils.go`: the
/// scheduled time in minutes).
pub fn top_level<'n>(kind: &'n str, name: &'n str, template_hash: Option<&str>) -> (&'n str, &'n str) {
    let deployment = template_hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
    let is_minutes = |end: &str| end.len() >= 8 && end.bytes().all(|byte| byte.is_ascii_digit());
    let cron_job = name.rsplit_once('-').filter(|(_, end)| is_minutes(end)).map(|(cron_job, _)| cron_job);
    match (kind, deployment, cron_job) {
        ("ReplicaSet", Some(deployment), _) => ("Deployment", deployment),
        ("Job", _, Some(cron_job)) => ("CronJob", cron_job),
        _ => (kind, name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, ip: &str, more: &Value) -> Value {
        let mut pod = json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"containers": []},
            "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "10.0.0.1"},
        });
        json_patch::merge(&mut pod, more);
        pod
    }

    fn pods(items: &[Value]) -> Pods {
        Pods::from_json(&json!({"kind": "List", "items": items}).to_string(), "cluster.local").unwrap()
    }

    fn owned(kind: &str, name: &str) -> Value {
        json!({"metadata": {"ownerReferences": [{"kind": kind, "name": name, "controller": true}]}})
    }

    fn workload_at(pods: &Pods, ip: &str) -> Option<String> {
        let WorkloadName { kind, name, .. } = &pods.at(ip.parse().unwrap(), None)?.workload;
        Some(format!("{kind}/{name}"))
    }

    #[test]
    fn finds_the_top_level_object() {
        let mut web = owned("ReplicaSet", "web-7d9f");
        web["metadata"]["labels"] = json!({"pod-template-hash": "7d9f", "app": "web"});
        let pods = pods(&[
            pod("web-7d9f-x", "10.1.0.1", &web),
            pod("job-x", "10.1.0.2", &owned("Job", "report-29411280")),
            pod("db-0", "10.1.0.3", &owned("StatefulSet", "db")),
            pod("bare", "10.1.0.4", &json!({})),
            pod("rs-x", "10.1.0.5", &owned("ReplicaSet", "old-1")),
            pod("once-x", "10.1.0.6", &owned("Job", "migrate-2")),
        ]);
        let found = (1..=7).map(|last| workload_at(&pods, &format!("10.1.0.{last}"))).collect::<Vec<_>>();
        let names =
            ["Deployment/web", "CronJob/report", "StatefulSet/db", "Pod/bare", "ReplicaSet/old-1", "Job/migrate-2"];
        let expected: Vec<_> = names.iter().map(|name| Some((*name).to_owned())).chain([None]).collect();
        assert_eq!(found, expected);
        assert!(pods.is_node("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_running_pod_has_the_address_and_a_node_s_address_is_no_pod() {
        let done = json!({"status": {"phase": "Succeeded"}});
        let on_node = json!({"spec": {"hostNetwork": true}});
        for items in [
            [pod("old", "10.1.0.1", &done), pod("new", "10.1.0.1", &json!({}))],
            [pod("new", "10.1.0.1", &json!({})), pod("old", "10.1.0.1", &done)],
        ] {
            assert_eq!(workload_at(&pods(&items), "10.1.0.1").as_deref(), Some("Pod/new"));
        }
        assert_eq!(workload_at(&pods(&[pod("agent", "10.0.0.1", &on_node)]), "10.0.0.1"), None);
    }

    #[test]
    fn an_address_belongs_to_the_pod_that_had_started() {
        let since = |time: &str| json!({"status": {"startTime": time}});
        let done = json!({"status": {"phase": "Failed", "startTime": "2026-11-30T10:00:00Z"}});
        let pods = pods(&[pod("new", "10.1.0.1", &since("2026-11-30T11:00:00Z")), pod("old", "10.1.0.1", &done)]);
        let at = |time: Option<&str>| {
            let time = time.map(|time| time.parse().unwrap());
            pods.at("10.1.0.1".parse().unwrap(), time).map(|pod| pod.name.clone())
        };
        for (time, name) in [
            (None, Some("new")),
            (Some("2026-11-30T09:59:49Z"), None),
            // The clocks of nodes differ a little.
            (Some("2026-11-30T09:59:50Z"), Some("old")),
            (Some("2026-11-30T10:59:00Z"), Some("old")),
            (Some("2026-11-30T11:00:00Z"), Some("new")),
        ] {
            assert_eq!(at(time).as_deref(), name, "{time:?}");
        }
        assert_ne!(pods.pods[0].id, pods.pods[1].id);
    }

    #[test]
    fn resolvers_come_from_muslin_s_annotation_or_else_from_the_image_s_name() {
        let containers = json!([{"name": "a", "image": "alpine:3.20"}, {"name": "b", "image": "debian:12"}, {"name": "c", "image": "example.com/x:1"}]);
        let of = |annotation: Value| {
            let more = json!({"metadata": {"annotations": {RESOLVERS_ANNOTATION: annotation}}, "spec": {"containers": containers}});
            let pods = pods(&[pod("web", "10.1.0.1", &more)]);
            pods.pods[0].resolvers.iter().map(|family| family.name()).collect::<Vec<_>>()
        };
        assert_eq!(of(json!(null)), ["musl", "glibc", "unknown"]);
        assert_eq!(
            of(json!("a=go (inspected), b=glibc-2.36+c-ares (inspected), c=c-ares-1.2 (declared)")),
            ["glibc", "go", "c-ares"]
        );
        assert_eq!(of(json!("a=musly (inspected), x=go")), ["musl", "glibc", "unknown"]);
    }

    #[test]
    fn labels_that_controllers_and_webhooks_add_select_nothing() {
        let labels = |hash: &str, more: &str| json!({"metadata": {"labels": {"app": "db", "controller-revision-hash": hash, "batch.kubernetes.io/job-name": "x", "muslin.dev/libc": "musl", "security.istio.io/tlsMode": "istio", "more": more}}});
        let pods = pods(&[pod("db", "10.1.0.1", &labels("1", "a")), pod("db", "10.1.0.2", &labels("2", "b"))]);
        let labels = pods.labels_of(&pods.at("10.1.0.1".parse().unwrap(), None).unwrap().workload);
        assert_eq!(labels, BTreeMap::from([("app".to_owned(), "db".to_owned())]));
    }

    #[test]
    fn rejects_what_is_no_pod() {
        assert!(Pods::from_json("[]", "cluster.local").is_err());
        assert!(Pods::from_json(r#"{"items":[{}]}"#, "cluster.local").is_err());
        assert_eq!(Pods::from_json(r#"{"items":[]}"#, "cluster.local").unwrap().len(), 0);
    }
}
