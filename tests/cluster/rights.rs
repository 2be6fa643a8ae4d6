//! The rights in `manifests/`, checked against the audit log of the API server: muslin uses every right and lacks none.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::certificates::is_settled;
use crate::cluster::inspection::{Fingerprints, PULL_SECRETS, overlay, reading, registry};
use crate::cluster::policies::kubernetes;
use crate::cluster::policies_beside_webhook::Rights as PolicyRights;
use crate::cluster::replicas::{Replicas, wait};
use crate::cluster::search_domains::{old_observation, on_node, resolv_conf};
use crate::cluster::status::with_the_roles;
use crate::common::dns_server::{DnsServer, Manners};
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::common::registration::MANIFESTS;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_server_uses_exactly_the_rights_of_the_base,
    image_inspection_uses_exactly_the_rights_of_its_overlays,
    policies_use_exactly_the_rights_of_their_component,
    a_scan_uses_exactly_the_rights_of_its_role,
    a_status_uses_exactly_the_rights_of_its_roles,
    a_watch_uses_exactly_the_rights_of_its_role,
    security_md_lists_every_right
];

/// Time limit of muslin's background work: to take over the lease of another leader, and to list everything.
const SOON: Duration = Duration::from_secs(90);

const MUSLIN: &str = "system:serviceaccount:muslin:muslin";

/// A verb, an API group, and a resource with its subresource: `("patch", "muslin.dev", "resolverprofiles/status")`.
type Right = (String, String, String);

/// The entries of the audit log about one account since some time.
struct Log<'c> {
    cluster: &'c Cluster,
    account: String,
    from: usize,
}

// === impl Log ===

impl<'c> Log<'c> {
    fn of(cluster: &'c Cluster, account: &str) -> Self {
        let from = cluster.control_plane.audit_log().unwrap_or_default().len();
        Self { cluster, account: account.to_owned(), from }
    }

    fn entries(&self) -> Result<Vec<Value>> {
        let log = self.cluster.control_plane.audit_log()?;
        let lines = log.get(self.from..).context("the audit log was cut")?.lines();
        // The last line may be half written.
        let entries = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(entries.filter(|entry| entry["user"]["username"] == self.account.as_str()).collect())
    }

    /// Returns the used rights.
    fn used(&self) -> Result<BTreeSet<Right>> {
        let mut used = BTreeSet::new();
        for entry in self.entries()? {
            let about = &entry["objectRef"];
            // Everybody may read non-resource paths such as /version.
            let Some(resource) = about["resource"].as_str() else { continue };
            // So is the question what one may do oneself (the role `system:basic-user`).
            if resource == "selfsubjectaccessreviews" {
                continue;
            }
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let resource = match about["subresource"].as_str() {
                Some(part) => format!("{resource}/{part}"),
                None => resource.to_owned(),
            };
            let (verb, group) = (text(&entry["verb"]), text(&about["apiGroup"]));
            // An apply that creates the object needs the right to create it, but is logged as a patch.
            if verb == "patch" && entry["responseStatus"]["code"] == 201 {
                used.insert(("create".to_owned(), group.clone(), resource.clone()));
            }
            used.insert((verb, group, resource));
        }
        Ok(used)
    }

    /// Returns the denied requests.
    fn refused(&self) -> Result<Vec<Value>> {
        let mut entries = self.entries()?;
        entries.retain(|entry| entry["annotations"]["authorization.k8s.io/decision"] == "forbid");
        Ok(entries)
    }

    /// Waits until all these rights were used, and checks that no others were used or denied.
    fn is_exactly(&self, granted: &BTreeSet<Right>) -> Result<()> {
        self.uses(granted, granted)
    }

    /// Waits until all rights of `wanted` were used, and checks that none was used but those of `granted`, and none denied.
    fn uses(&self, wanted: &BTreeSet<Right>, granted: &BTreeSet<Right>) -> Result<()> {
        let deadline = Instant::now() + SOON;
        loop {
            let used = self.used()?;
            let (unused, missing): (Vec<_>, Vec<_>) =
                (wanted.difference(&used).collect(), used.difference(granted).collect());
            let refused = self.refused()?;
            ensure!(missing.is_empty() && refused.is_empty(), "used, and not granted: {missing:?}\n{refused:#?}");
            if unused.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "granted, and not used: {unused:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Returns the rights that the roles in these manifests grant.
fn granted(manifests: &str) -> Result<BTreeSet<Right>> {
    let mut rights = BTreeSet::new();
    for document in manifests.split("\n---\n") {
        let object: Value = serde_saphyr::from_str(document)?;
        if !matches!(object["kind"].as_str(), Some("ClusterRole" | "Role")) {
            continue;
        }
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for rule in object["rules"].as_array().context("a role has rules")? {
            for verb in texts(&rule["verbs"]) {
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        rights.insert((verb.clone(), group.clone(), resource));
                    }
                }
            }
        }
    }
    ensure!(!rights.is_empty(), "no role in\n{manifests}");
    Ok(rights)
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let output = cluster.control_plane.kubectl(arguments, None)?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.stderr);
    Ok(output.stdout)
}

fn the_server_uses_exactly_the_rights_of_the_base(cluster: &Cluster) -> Result<()> {
    let granted = granted(&kubectl(cluster, &["kustomize", MANIFESTS])?)?;
    // The first leader creates the lease.
    kubectl(cluster, &["delete", "lease", "muslin", "-n", "muslin", "--ignore-not-found"])?;
    let log = Log::of(cluster, MUSLIN);
    // An observation of a node that is gone, which the leader deletes.
    cluster.create(&old_observation("rightful-gone"))?;
    {
        // muslin's own certificates.
        let _replicas = Replicas::start(cluster, 1, &[])?;
        wait("settled", || is_settled(cluster))?;
    }
    let muslin = cluster.muslin()?;
    cluster.namespace("rightful", &[])?;

    // For a profile muslin writes the status; for a label it lists pods.
    let profile = json!({
        "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "rightful" },
        "spec": { "options": { "mixed": ["timeout:5"] } }
    });
    cluster.create(&profile)?;
    // For a profile with a search list muslin writes what it sees of the search domains.
    let server = DnsServer::start(Ipv4Addr::new(127, 53, 2, 1), Manners::HealthySearchDomain)?;
    let file = resolv_conf(Ipv4Addr::new(127, 53, 2, 1))?;
    drop(muslin);
    let muslin = cluster.muslin_with(&on_node("rightful-node", &file))?;
    let search = json!({
        "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": "rightful-search" },
        "spec": { "search": "whenBroken", "acceptRisk": ["node-searches-lost"] }
    });
    cluster.create(&search)?;
    // For these pods muslin writes Events, also on their workloads.
    for (api_version, kind, uid) in [
        ("apps/v1", "ReplicaSet", "705ab4f5-6393-11e8-b7cc-42010a800002"),
        ("batch/v1", "Job", "705ab4f5-6393-11e8-b7cc-42010a800003"),
    ] {
        let mut of_it = pod("rightful", &format!("of-{}", kind.to_lowercase()), "alpine:3.19");
        of_it["metadata"]["ownerReferences"] = json!([{
            "apiVersion": api_version, "kind": kind, "name": "web", "controller": true, "uid": uid,
        }]);
        cluster.create(&of_it)?;
    }
    kubectl(cluster, &["label", "namespace", "rightful", "muslin.dev/profile=rightful"])?;
    // A namespace that the watch does not know.
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": "nowhere",
            "kind": { "group": "", "version": "v1", "kind": "Pod" }, "object": pod("nowhere", "web", "alpine:3.19")
        }
    });
    let answer = muslin.review("/mutate", &review)?;
    ensure!(answer.contains("namespace is not known yet"), "{answer}");

    let result = log.is_exactly(&granted);
    kubectl(cluster, &["delete", "resolverprofile", "rightful", "rightful-search"])?;
    kubectl(cluster, &["delete", "dnsobservation", "rightful-node", "--ignore-not-found"])?;
    drop(server);
    result
}

fn image_inspection_uses_exactly_the_rights_of_its_overlays(cluster: &Cluster) -> Result<()> {
    let files = [overlay("components/image-inspection/cluster-role.yaml"), overlay(PULL_SECRETS)];
    let own = granted(&files.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?.join("\n---\n"))?;
    let kept = Fingerprints::apply(cluster)?;
    kept.kubectl(&["apply", "-f", &overlay(PULL_SECRETS)])?;
    let result = (|| {
        cluster.namespace("rightful-images", &[])?;
        let log = Log::of(cluster, MUSLIN);
        let (first, one) = registry("team/one:1", "musl-lookup")?;
        let mut arguments = reading(&first).to_vec();
        arguments.extend(["--pull-secrets", "--keep-fingerprints", "1"].map(str::to_owned));
        let _muslin = cluster.muslin_with(&arguments)?;
        let mut named = pod("rightful-images", "named", &one);
        named["spec"]["imagePullSecrets"] = json!([{ "name": "missing" }]);
        cluster.create(&named)?;
        // One above the limit.
        let digest = format!("sha256-{}", "0".repeat(64));
        let old = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint", "metadata": { "name": digest }, "spec": {},
        });
        cluster.create(&old)?;
        let base = granted(&kubectl(cluster, &["kustomize", MANIFESTS])?)?;
        let deadline = Instant::now() + SOON;
        loop {
            let used = log.used()?;
            let unused: Vec<_> = own.difference(&used).collect();
            let missing: Vec<_> = used.iter().filter(|right| !own.contains(*right) && !base.contains(*right)).collect();
            let refused = log.refused()?;
            ensure!(missing.is_empty() && refused.is_empty(), "used, and not granted: {missing:?}\n{refused:#?}");
            if unused.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "granted, and not used: {unused:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    })();
    kept.kubectl(&["delete", "-f", &overlay(PULL_SECRETS)])?;
    result
}

fn policies_use_exactly_the_rights_of_their_component(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let own = granted(&std::fs::read_to_string(overlay("components/policies/cluster-role.yaml"))?)?;
    let base = granted(&kubectl(cluster, &["kustomize", MANIFESTS])?)?;
    let _rights = PolicyRights::apply(cluster)?;
    old_policies(cluster)?;
    let log = Log::of(cluster, MUSLIN);
    let names = ["--policies", "--inspect-images", "--keep-fingerprints", "0"].map(str::to_owned);
    let _fingerprints = Fingerprints::apply(cluster)?;
    let inspection = granted(&std::fs::read_to_string(overlay("components/image-inspection/cluster-role.yaml"))?)?;
    let _muslin = cluster.muslin_with(&names)?;
    let granted = [&own, &base, &inspection].into_iter().flatten().cloned().collect();
    log.uses(&own, &granted)
}

/// A patch that changes no Secret.
const NOTHING: &str = "[JSONPatch{op: 'test', path: '/kind', value: 'Secret'}]";

/// Creates policies and bindings as an earlier leader may have left them, which the leader deletes.
fn old_policies(cluster: &Cluster) -> Result<()> {
    let group = "admissionregistration.k8s.io";
    let mutating = if kubernetes() == Some("1.34") { "v1beta1" } else { "v1" };
    let constraints = json!({ "resourceRules": [{
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"],
    }] });
    for (kind, version, spec) in [
        (
            "MutatingAdmissionPolicy",
            mutating,
            json!({
                "failurePolicy": "Ignore", "reinvocationPolicy": "Never", "matchConstraints": constraints,
                "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression": NOTHING } }],
            }),
        ),
        ("MutatingAdmissionPolicyBinding", mutating, json!({ "policyName": "rightful" })),
        (
            "ValidatingAdmissionPolicy",
            "v1",
            json!({
                "failurePolicy": "Ignore", "matchConstraints": constraints, "validations": [{ "expression": "true" }],
            }),
        ),
        ("ValidatingAdmissionPolicyBinding", "v1", json!({ "policyName": "rightful", "validationActions": ["Audit"] })),
    ] {
        let labels = json!({ "app.kubernetes.io/managed-by": "muslin" });
        cluster.create(&json!({
            "apiVersion": format!("{group}/{version}"), "kind": kind,
            "metadata": { "name": "rightful", "labels": labels }, "spec": spec,
        }))?;
    }
    Ok(())
}

fn a_scan_uses_exactly_the_rights_of_its_role(cluster: &Cluster) -> Result<()> {
    let granted = granted(&kubectl(cluster, &["kustomize", &format!("{MANIFESTS}/scan")])?)?;
    cluster.namespace("rightful-scan", &[])?;
    kubectl(cluster, &["create", "serviceaccount", "scanner", "-n", "rightful-scan"])?;
    kubectl(cluster, &["apply", "-k", &format!("{MANIFESTS}/scan")])?;
    let bound = "--serviceaccount=rightful-scan:scanner";
    kubectl(cluster, &["create", "clusterrolebinding", "rightful-scan", "--clusterrole=muslin-scan", bound])?;
    let account = cluster.control_plane.service_account_kubeconfig("rightful-scan", "scanner")?;
    let log = Log::of(cluster, "system:serviceaccount:rightful-scan:scanner");
    let scan = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["scan", "-A", "--fail-on", "never", "--kubeconfig"])
        .arg(&account)
        .output()?;
    ensure!(scan.status.success() && scan.stderr.is_empty(), "{}", String::from_utf8_lossy(&scan.stderr));
    let result = log.is_exactly(&granted);
    kubectl(cluster, &["delete", "clusterrolebinding", "rightful-scan"])?;
    result
}

fn a_status_uses_exactly_the_rights_of_its_roles(cluster: &Cluster) -> Result<()> {
    let granted = granted(&kubectl(cluster, &["kustomize", &format!("{MANIFESTS}/status")])?)?;
    let account = with_the_roles(cluster, "rightful-status")?;
    let log = Log::of(cluster, "system:serviceaccount:rightful-status:reader");
    let status = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["status", "--fail-on", "never", "--kubeconfig"])
        .arg(&account)
        .output()?;
    ensure!(status.status.success() && status.stderr.is_empty(), "{}", String::from_utf8_lossy(&status.stderr));
    let result = log.is_exactly(&granted);
    kubectl(cluster, &["delete", "clusterrolebinding", "rightful-status"])?;
    kubectl(cluster, &["delete", "rolebinding", "rightful-status", "-n", "muslin"])?;
    result
}

/// A process that ends with its value.
struct Watch(std::process::Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A search domain breaks and is healthy again while a watch runs: the watch writes the observation, and Events on its pod and on CoreDNS.
fn a_watch_uses_exactly_the_rights_of_its_role(cluster: &Cluster) -> Result<()> {
    const NODE: &str = "watched-node";
    let folder = overlay("components/watch-rights");
    let role = granted(&std::fs::read_to_string(format!("{folder}/cluster-role.yaml"))?)?;
    for file in ["service-account.yaml", "cluster-role.yaml"] {
        kubectl(cluster, &["apply", "-f", &format!("{folder}/{file}")])?;
    }
    let coredns = ["-n", "kube-system", "create", "deployment", "coredns", "--image=coredns"];
    let made = cluster.control_plane.kubectl(&coredns, None)?;
    ensure!(made.status.success() || made.stderr.contains("already exists"), "{}", made.stderr);
    let account = cluster.control_plane.service_account_kubeconfig("muslin", "muslin-watch")?;
    let log = Log::of(cluster, "system:serviceaccount:muslin:muslin-watch");
    let address = Ipv4Addr::new(127, 53, 2, 2);
    let server = DnsServer::start(address, Manners::HealthySearchDomain)?;
    let file = resolv_conf(address)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_muslin"));
    command.args(["probe", "--watch", "--interval", "300ms", "--inside-only", "--node", NODE, "--resolv-conf"]);
    command.arg(file.path()).arg("--kubeconfig").arg(&account);
    command.envs([("POD_NAME", "muslin-watch-0"), ("POD_NAMESPACE", "muslin"), ("POD_UID", "705ab4f5")]);
    let _watch = Watch(command.stdout(std::process::Stdio::null()).spawn()?);
    let observed = || -> Result<Value> {
        let output = cluster.control_plane.kubectl(&["get", "dnsobservation", NODE, "-o", "json"], None)?;
        Ok(serde_json::from_str::<Value>(&output.stdout).unwrap_or_default()["spec"].take())
    };
    let events = |namespace: &str, reason: &str| -> Result<String> {
        let arguments = ["get", "events.events.k8s.io", "-n", namespace, "--field-selector"];
        let selector = format!("reason={reason}");
        kubectl(cluster, &[&arguments[..], &[selector.as_str(), "-o", "jsonpath={.items[*].note}"]].concat())
    };
    wait("the first observation", || Ok(observed()?["watch"]["verdicts"] == json!([])))?;
    server.answer(Manners::BrokenSearchDomain);
    wait("the verdict", || Ok(observed()?["watch"]["verdicts"][0]["verdict"] == "search-expansion"))?;
    wait("the broken domain", || Ok(observed()?["broken"] == json!(["corp.example.com"])))?;
    let seen = observed()?;
    ensure!(seen["nameservers"] == json!([address]) && seen["pod"] == "muslin-watch-0", "{seen:#}");
    ensure!(seen["watch"]["nameservers"][0]["queries"].as_u64() > Some(0), "{seen:#}");
    for namespace in ["muslin", "kube-system"] {
        wait("the Event of the beginning", || {
            Ok(events(namespace, "DNSFault")?.contains("DNS on node watched-node: search-expansion"))
        })?;
    }
    server.answer(Manners::HealthySearchDomain);
    wait("the end of the verdict", || Ok(observed()?["watch"]["verdicts"] == json!([])))?;
    for namespace in ["muslin", "kube-system"] {
        wait(
            "the Event of the end",
            || Ok(events(namespace, "DNSFaultEnded")?.contains("search-expansion has ended")),
        )?;
    }
    let result = log.is_exactly(&role);
    kubectl(cluster, &["delete", "dnsobservation", NODE])?;
    if made.status.success() {
        kubectl(cluster, &["-n", "kube-system", "delete", "deployment", "coredns"])?;
    }
    result
}

/// Compares the rules of all roles in the manifests with the table of `SECURITY.md`.
fn security_md_lists_every_right(cluster: &Cluster) -> Result<()> {
    const PAGE: &str = include_str!("../../SECURITY.md");
    let texts = |value: &Value| -> String {
        let texts: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        texts.join(", ")
    };
    let rules = |folder: &str| -> Result<BTreeSet<(String, String)>> {
        let manifests = kubectl(cluster, &["kustomize", &format!("{MANIFESTS}/{folder}")])?;
        let mut rules = BTreeSet::new();
        for document in manifests.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document)?;
            for rule in object["rules"].as_array().into_iter().flatten() {
                rules.insert((texts(&rule["verbs"]), texts(&rule["resources"])));
            }
        }
        Ok(rules)
    };
    let listed = |folder: &str| -> BTreeSet<(String, String)> {
        let rows = PAGE.lines().filter_map(|line| line.strip_prefix(&format!("| `{folder}` | ")));
        let columns = rows.map(|row| row.split(" | ").take(2).map(str::to_owned).collect::<Vec<_>>());
        columns.filter_map(|columns| Some((columns.first()?.clone(), columns.get(1)?.clone()))).collect()
    };
    let base = listed("base");
    let without_certificates: BTreeSet<_> =
        base.iter().filter(|(verbs, _)| verbs != "list, watch, update").cloned().collect();
    let inspection: BTreeSet<_> = base.union(&listed("image-inspection")).cloned().collect();
    for (folder, expected) in [
        ("base", base.clone()),
        ("high-availability", base.clone()),
        ("enforce-everywhere-but-system", base.clone()),
        ("host-network", base.clone()),
        ("cert-manager", without_certificates.clone()),
        ("own-certificate", without_certificates),
        ("image-inspection", inspection.clone()),
        ("private-registries", inspection.clone()),
        ("pull-secrets", inspection.union(&listed("pull-secrets")).cloned().collect()),
        ("policies", base.union(&listed("policies")).cloned().collect()),
        ("reports", base.union(&listed("reports")).cloned().collect()),
        ("scan", listed("scan")),
        ("status", listed("status")),
        ("watch", base.union(&listed("watch")).cloned().collect()),
    ] {
        let granted = rules(folder)?;
        let (missing, more): (Vec<_>, Vec<_>) =
            (granted.difference(&expected).collect(), expected.difference(&granted).collect());
        ensure!(missing.is_empty() && more.is_empty(), "{folder}: not listed: {missing:?}; not granted: {more:?}");
    }
    Ok(())
}
