//! A search domain of the node that ends musl's search, on a node: pods on musl without muslin, with a profile that has
//! `search: whenBroken`, and with the domain among their own searches.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Topic;
use crate::common::harness::tests;
use crate::node::page;
use crate::node::real_node::{Node, REGISTRY, REGISTRY_ADDRESS, eventually};

pub(crate) const TESTS: Topic = tests![a_broken_search_domain_of_the_node_is_seen_and_new_pods_resolve];

pub(crate) const ON_REQUEST: Topic = tests![records_the_search_list_in_docs_proof_on_a_node_md];

/// The search domain of the node's site, and its nameserver (`node`).
const DOMAIN: &str = "corp.example.net";
const SITE_ADDRESS: &str = "192.0.2.54";

/// A name below the domain, in its short form, and its address.
const INSIDE: &str = "intranet";
const INSIDE_ADDRESS: &str = "192.0.2.80";

/// A name outside the cluster that the node's CoreDNS knows. With two dots it has fewer than `ndots:5`.
const OUTSIDE: &str = REGISTRY;
const OUTSIDE_ADDRESS: &str = REGISTRY_ADDRESS;

/// The address of every name behind the wildcard.
const WRONG_ADDRESS: &str = "192.0.2.99";

/// The namespaces: muslin is off in the first, and the second has the profile.
const BARE: &str = "search-bare";
const FIXED: &str = "search-fixed";
const PROFILE: &str = "no-broken-search";

/// Time limit of muslin's checks on a busy machine: two rounds take eleven seconds.
const DEADLINE: Duration = Duration::from_secs(90);

/// An answer of the site's nameserver to names that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    NxDomain,
    NoData,
    ServFail,
    Wildcard,
}

/// The node's resolv.conf with the search domain, until it is dropped. The kubelet reads it when it makes a pod.
pub(crate) struct NodeFile {
    path: PathBuf,
    before: String,
}

/// The settings of one part of the test, which are undone when dropped.
struct Scene<'n> {
    node: &'n Node,
    _file: NodeFile,
}

/// A pod, and what it finds.
struct Row {
    pod: &'static str,
    searches: String,
    outside: String,
    inside: Option<String>,
}

/// The pods: their names, with the text of the page.
const PODS: [(&str, &str, &str); 3] = [
    (BARE, "bare", "without muslin"),
    (FIXED, "fixed", "`search: whenBroken`"),
    (FIXED, "needs", "the same, with the domain in its own `dnsConfig.searches`"),
];

fn a_broken_search_domain_of_the_node_is_seen_and_new_pods_resolve(node: &mut Node) -> Result<()> {
    let scene = Scene::start(node, Says::NoData)?;
    let [bare, fixed, needs] = scene.rows(false)?;
    ensure!(bare.outside != OUTSIDE_ADDRESS, "the domain does not break {OUTSIDE}: {}", bare.outside);
    fixed.check(OUTSIDE_ADDRESS, None)?;
    scene.finds_the_full_name()?;
    ensure!(!fixed.searches.contains(DOMAIN), "{}", fixed.searches);
    needs.check_inside(INSIDE_ADDRESS)?;
    ensure!(needs.searches.ends_with(DOMAIN), "{}", needs.searches);
    Ok(())
}

fn records_the_search_list_in_docs_proof_on_a_node_md(node: &mut Node) -> Result<()> {
    let mut text = format!(
        "The kubelet's `resolvConf` has a search domain, `{DOMAIN}`, whose nameserver answers names that do not exist in four ways. CoreDNS
forwards to it. Pods on musl 1.2.3 look up `{OUTSIDE}`, a name outside the cluster, and `{INSIDE}`, the short form of a name below
the domain: in a namespace where muslin is off, and in one whose profile has `search: whenBroken`. muslin's own pods see the domain's
answers; the pods are made when they have.

| the domain answers | pod | search list | `{OUTSIDE}` | `{INSIDE}` |
|---|---|---|---|---|
"
    );
    let mut observed = String::new();
    for says in [Says::NxDomain, Says::NoData, Says::ServFail, Says::Wildcard] {
        let scene = Scene::start(node, says)?;
        let rows = scene.rows(true)?;
        for Row { pod, searches, outside, inside } in &rows {
            let inside = inside.as_deref().unwrap_or_default();
            writeln!(text, "| {} | {pod} | `{searches}` | {outside} | {inside} |", says.text())?;
        }
        let [bare, fixed, needs] = &rows;
        let is_healthy = says == Says::NxDomain;
        ensure!((bare.outside == OUTSIDE_ADDRESS) == is_healthy, "{says:?}: {}", bare.outside);
        bare.check_inside(INSIDE_ADDRESS)?;
        fixed.check(OUTSIDE_ADDRESS, is_healthy.then_some(INSIDE_ADDRESS))?;
        ensure!(fixed.searches.contains(DOMAIN) == is_healthy, "{says:?}: {}", fixed.searches);
        needs.check_inside(INSIDE_ADDRESS)?;
        scene.finds_the_full_name()?;
        if says == Says::NoData {
            observed = node.kubectl(&["get", "dnsobservations"])?.0;
        }
    }
    write!(
        text,
        "
With the domain broken, new pods of the profile find every name outside the cluster, and lose the short form `{INSIDE}`
(`node-searches-lost`): `{INSIDE}.{DOMAIN}` is found. A pod that needs the short form lists the domain itself, and keeps the domain's
fault. While the domain is healthy, nothing changes. muslin's observation of the node, under NODATA:

```
$ kubectl get dnsobservations
{}
```",
        observed.trim_end()
    )?;
    page::write_section(page::SEARCH_LIST, &text)
}

// === impl Says ===

impl Says {
    /// Returns the text of the page.
    const fn text(self) -> &'static str {
        match self {
            Self::NxDomain => "NXDOMAIN",
            Self::NoData => "NODATA",
            Self::ServFail => "SERVFAIL",
            Self::Wildcard => "an address",
        }
    }

    /// Returns the word of a DNSObservation.
    const fn observed(self) -> &'static str {
        match self {
            Self::Wildcard => "wildcard",
            _ => self.text(),
        }
    }

    /// Returns the configuration of the site's nameserver.
    fn corefile(self) -> String {
        let (addresses, code) = match self {
            Self::NxDomain => (String::new(), "NXDOMAIN"),
            Self::NoData => (String::new(), "NOERROR"),
            Self::ServFail => (String::new(), "SERVFAIL"),
            Self::Wildcard => {
                (format!("template IN A {{\nanswer \"{{{{ .Name }}}} 60 IN A {WRONG_ADDRESS}\"\n}}\n"), "NOERROR")
            }
        };
        format!(
            "{DOMAIN} {{
                bind {SITE_ADDRESS}
                reload 2s 1s
                template IN A {{
                    match ^{INSIDE}[.]
                    answer \"{{{{ .Name }}}} 60 IN A {INSIDE_ADDRESS}\"
                    fallthrough
                }}
                template IN AAAA {{
                    match ^{INSIDE}[.]
                    rcode NOERROR
                    fallthrough
                }}
                {addresses}
                template ANY ANY {{
                    rcode {code}
                }}
            }}\n"
        )
    }
}

// === impl NodeFile ===

impl NodeFile {
    pub(crate) fn with_the_site(node: &Node) -> Result<Self> {
        let path = node.folder().join("resolv.conf");
        let before = fs::read_to_string(&path).context("reading the node's resolv.conf")?;
        fs::write(&path, format!("{before}search {DOMAIN}\n"))?;
        Ok(Self { path, before })
    }
}

impl Drop for NodeFile {
    fn drop(&mut self) {
        // Fails only if the node is gone.
        let _ = fs::write(&self.path, &self.before);
    }
}

// === impl Scene ===

impl<'n> Scene<'n> {
    /// Lets the site answer, and waits until muslin has seen that.
    fn start(node: &'n Node, says: Says) -> Result<Self> {
        fs::write(node.folder().join("site"), says.corefile())?;
        let scene = Self { node, _file: NodeFile::with_the_site(node)? };
        let namespace = |name: &str, labels: Value| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        let [bare, ..] = PODS;
        scene.apply(&[
            namespace(BARE, json!({ "muslin.dev/mode": "off" })),
            namespace(FIXED, json!({ "muslin.dev/profile": PROFILE })),
            pod(bare),
        ])?;
        scene.wait_for(&[bare])?;
        // The site's nameserver reads its file again within three seconds.
        eventually(DEADLINE, || {
            let found = scene.look_up(bare, OUTSIDE)?;
            ensure!((found == OUTSIDE_ADDRESS) == (says == Says::NxDomain), "{says:?}: {OUTSIDE} is {found}");
            Ok(())
        })?;
        // A new profile starts a round of checks.
        scene.apply(&[json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": PROFILE },
            "spec": { "search": "whenBroken", "acceptRisk": ["node-searches-lost"] }
        })])?;
        let ask = ["get", "dnsobservation", "node", "-o", "json"];
        eventually(DEADLINE, || {
            let seen: Value = serde_json::from_str(&node.kubectl(&ask)?.0)?;
            let domains = seen["spec"]["domains"].as_array().into_iter().flatten();
            let domain = { domains }.find(|domain| domain["domain"] == DOMAIN).context("the domain is not observed")?;
            ensure!(domain["answer"] == says.observed(), "{says:?}: {seen:#}");
            Ok(())
        })?;
        let policy = if says == Says::NxDomain { "ClusterFirst" } else { "None" };
        eventually(DEADLINE, || scene.each_is_given(policy))?;
        Ok(scene)
    }

    /// Makes the pods, and returns what they find. The short form is looked up on request, since it can take seconds where it is lost.
    fn rows(&self, with_inside: bool) -> Result<[Row; 3]> {
        let [_, made @ ..] = PODS;
        self.apply(&made.map(pod))?;
        self.wait_for(&made)?;
        let row = |each: (&'static str, &'static str, &'static str)| {
            let (namespace, name, title) = each;
            let exec = ["exec", "-n", namespace, name, "--", "/shop", "show", "/etc/resolv.conf"];
            let (file, _) = self.node.kubectl(&exec)?;
            let searches = file.lines().find_map(|line| line.strip_prefix("search ")).context("no search line")?;
            let is_asked = with_inside || name == "needs";
            let inside = is_asked.then(|| self.look_up(each, INSIDE)).transpose()?;
            let outside = self.look_up(each, OUTSIDE)?;
            anyhow::Ok(Row { pod: title, searches: searches.trim().to_owned(), outside, inside })
        };
        let [bare, fixed, needs] = PODS.map(row);
        Ok([bare?, fixed?, needs?])
    }

    /// Checks that the pod of the profile finds the name below the domain in full.
    fn finds_the_full_name(&self) -> Result<()> {
        let [_, fixed, _] = PODS;
        let (name, found) = (format!("{INSIDE}.{DOMAIN}"), self.look_up(fixed, &format!("{INSIDE}.{DOMAIN}"))?);
        ensure!(found == INSIDE_ADDRESS, "{name} is {found}");
        Ok(())
    }

    fn apply(&self, objects: &[Value]) -> Result<()> {
        let file = self.node.folder().join("search-list.json");
        fs::write(&file, list(objects).to_string())?;
        self.node.kubectl(&["apply", "-f", &file.display().to_string()])?;
        Ok(())
    }

    /// Checks the policy that muslin's replicas give to several pods of the profile.
    fn each_is_given(&self, policy: &str) -> Result<()> {
        let file = self.node.folder().join("search-decided.json");
        let pods = ["a", "b", "c", "d", "e", "f"].map(|name| pod((FIXED, name, "")));
        fs::write(&file, list(&pods).to_string())?;
        let file = file.display().to_string();
        let format = "jsonpath={.items[*].spec.dnsPolicy}{.spec.dnsPolicy} ";
        let (given, _) = self.node.kubectl(&["create", "--dry-run=server", "-o", format, "-f", &file])?;
        let given: Vec<&str> = given.split_whitespace().collect();
        ensure!(given == vec![policy; pods.len()], "muslin gives {given:?} instead of {policy}");
        Ok(())
    }

    fn wait_for(&self, pods: &[(&str, &str, &str)]) -> Result<()> {
        for (namespace, name, _) in pods {
            let pod = format!("pod/{name}");
            self.node.kubectl(&["wait", &pod, "-n", namespace, "--for=condition=Ready", "--timeout=60s"])?;
        }
        Ok(())
    }

    /// Returns the address that a pod finds, or musl's error.
    fn look_up(&self, (namespace, name, _): (&str, &str, &str), wanted: &str) -> Result<String> {
        let exec = ["exec", "-n", namespace, name, "--", "/shop", "once", wanted];
        let output = self.node.command(self.node.folder().join("bin/kubectl")).args(exec).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().next().with_context(|| format!("no answer: {output:?}"))?;
        Ok(line.strip_prefix(&format!("{wanted}: ")).unwrap_or(line).to_owned())
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        let _ = fs::write(self.node.folder().join("site"), Says::NxDomain.corefile());
        // All of this exists, unless the scene did not start.
        let _ = self.node.kubectl(&["delete", "resolverprofile", PROFILE, "--ignore-not-found"]);
        for (namespace, name, _) in PODS {
            let _ = self.node.kubectl(&[
                "delete",
                "pod",
                name,
                "-n",
                namespace,
                "--ignore-not-found",
                "--force",
                "--grace-period=0",
            ]);
        }
    }
}

fn list(objects: &[Value]) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": objects })
}

fn pod((namespace, name, _): (&str, &str, &str)) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": namespace },
        "spec": {
            // A name that needs no query: the test makes the lookups.
            "containers": [{ "name": "app", "image": format!("{REGISTRY}/shop:1.4"), "args": ["localhost"] }],
            // The program does not handle SIGTERM.
            "terminationGracePeriodSeconds": 0
        }
    });
    if name == "needs" {
        pod["spec"]["dnsConfig"] = json!({ "searches": [DOMAIN] });
    }
    pod
}

// === impl Row ===

impl Row {
    fn check(&self, outside: &str, inside: Option<&str>) -> Result<()> {
        ensure!(self.outside == outside, "{}: {OUTSIDE} is {}", self.pod, self.outside);
        inside.map_or(Ok(()), |inside| self.check_inside(inside))
    }

    fn check_inside(&self, address: &str) -> Result<()> {
        ensure!(self.inside.as_deref() == Some(address), "{}: {INSIDE} is {:?}", self.pod, self.inside);
        Ok(())
    }
}
