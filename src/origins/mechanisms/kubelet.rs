//! The kubelet: the file that it gives to pods with the DNS policy `Default`, and the nameservers of `ClusterFirst` pods.
//!
//! Sources: KubeletConfiguration (kubelet.config.k8s.io/v1beta1), `resolvConf` (default `/etc/resolv.conf`; an empty string gives pods
//! no file) and `clusterDNS`; kubelet(8): `--resolv-conf`, `--cluster-dns` win over the file, files in `--config-dir` over `--config`.
//! Paths: kubeadm (`/var/lib/kubelet/config.yaml`, `kubeadm-flags.env`, `/etc/default/kubelet`, `/etc/sysconfig/kubelet`; it sets
//! `/run/systemd/resolve/resolv.conf` where systemd-resolved runs: cmd/kubeadm/app/componentconfigs/kubelet.go); EKS on Amazon Linux 2
//! (`/etc/kubernetes/kubelet/kubelet-config.json`) and 2023 (nodeadm: `config.json`, `config.json.d`, `/etc/eks/kubelet/environment`);
//! Kubespray (`/etc/kubernetes/kubelet.env`, `kubelet-config.yaml`); Talos (`/etc/kubernetes/kubelet.yaml`); MicroK8s
//! (`/var/snap/microk8s/current/args/kubelet`); K3s and RKE2: `resolv-conf` in `config.yaml`, else `/etc/resolv.conf` or
//! `/run/systemd/resolve/resolv.conf` if all its nameservers are global unicast addresses, else a file of their own with 8.8.8.8
//! (pkg/agent/config/config.go, `locateOrGenerateResolvConf`).

use std::net::IpAddr;

use crate::origins::mechanism::{Found, Mechanism, THERE};
use crate::origins::text::{address, addresses, lines, nameservers};
use crate::origins::tree::{NodeFile, Tree, matches};
use crate::origins::yaml::Yaml;
use crate::verdicts::nameserver_origins::{Persistence, Place};

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "kubelet",
    files: &[&CONFIGURATION, &RANCHER, &[RANCHERS_OWN], &UNITS],
    programs: &[],
    further,
    search,
};

/// The kubelet's default.
const DEFAULT: &str = "/etc/resolv.conf";
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
/// The command lines of running kubelets, which the reader adds.
const RUNNING: &str = "/proc/*/cmdline";
/// Configuration files; later ones win.
const CONFIGURATION: [&str; 6] = [
    "/var/lib/kubelet/config.yaml",
    "/etc/kubernetes/kubelet*.yaml",
    "/etc/kubernetes/kubelet*.yml",
    "/etc/kubernetes/kubelet/kubelet-config.json",
    "/etc/kubernetes/kubelet/config.json",
    "/etc/kubernetes/kubelet/config.json.d/*.conf",
];
/// Units and environment files with flags; later ones win.
const UNITS: [&str; 12] = [
    "/usr/lib/systemd/system/kubelet.service",
    "/lib/systemd/system/kubelet.service",
    "/etc/systemd/system/kubelet.service",
    "/usr/lib/systemd/system/kubelet.service.d/*.conf",
    "/lib/systemd/system/kubelet.service.d/*.conf",
    "/etc/systemd/system/kubelet.service.d/*.conf",
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
    "/etc/kubernetes/kubelet.env",
    "/etc/eks/kubelet/environment",
    "/var/snap/microk8s/current/args/kubelet",
];
/// The file of K3s and RKE2 with 8.8.8.8.
const RANCHERS_OWN: &str = "/var/lib/rancher/*/agent/etc/resolv.conf";
const RANCHER: [&str; 4] = [
    "/etc/rancher/k3s/config.yaml",
    "/etc/rancher/k3s/config.yaml.d/*.yaml",
    "/etc/rancher/rke2/config.yaml",
    "/etc/rancher/rke2/config.yaml.d/*.yaml",
];

/// The file from which pods with the DNS policy `Default` get their nameservers.
#[derive(Debug)]
pub(super) struct PodsFile {
    /// The path; empty if the kubelet gives them none.
    pub(super) path: String,
    /// The setting that names it.
    pub(super) from: Option<Place>,
}

/// One flag's value in a file.
struct Flag<'t> {
    file: &'t NodeFile,
    line: Option<usize>,
    value: String,
}

/// Returns the values of a flag, the winning one last. If kubelets run, only theirs count, with the place in a unit or environment
/// file that has the same value.
fn flags<'t>(tree: &'t Tree, name: &str) -> Vec<Flag<'t>> {
    let running = tree.matching(&[RUNNING]);
    let stored: Vec<Flag<'t>> = tree.matching(&UNITS).into_iter().flat_map(|file| flags_in(file, name)).collect();
    if running.is_empty() {
        return stored;
    }
    let mut flags: Vec<Flag<'t>> = running.into_iter().flat_map(|file| flags_in(file, name)).collect();
    for flag in &mut flags {
        flag.line = None;
        if let Some(Flag { file, line, value: _ }) = stored.iter().rfind(|stored| stored.value == flag.value) {
            (flag.file, flag.line) = (file, *line);
        }
    }
    flags
}

fn flags_in<'t>(file: &'t NodeFile, name: &str) -> Vec<Flag<'t>> {
    let mut flags = Vec::new();
    let text = file.text();
    for (line, text) in lines(&text).filter(|(_, text)| !text.trim_start().starts_with('#')) {
        let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, '\0' | '"' | '\'' | '\\'));
        while let Some(word) = words.next() {
            let Some(rest) = word.strip_prefix(name) else { continue };
            let value = match rest.strip_prefix('=') {
                Some(value) => value.to_owned(),
                None if rest.is_empty() => words.next().unwrap_or_default().to_owned(),
                None => continue,
            };
            flags.push(Flag { file, line: Some(line), value });
        }
    }
    flags
}

fn further(tree: &Tree) -> Vec<String> {
    let named = flags(tree, "--config").into_iter().map(|flag| flag.value);
    let folders =
        flags(tree, "--config-dir").into_iter().map(|flag| format!("{}/*.conf", flag.value.trim_end_matches('/')));
    let pods = pods_file(tree, &mut Found::default()).path;
    named.chain(folders).chain([pods]).filter(|path| path.starts_with('/')).collect()
}

/// Returns the files that hold a KubeletConfiguration; later ones win.
fn configuration(tree: &Tree) -> Vec<&NodeFile> {
    let named = flags(tree, "--config");
    let mut files = if named.is_empty() {
        tree.matching(&CONFIGURATION)
    } else {
        named.iter().filter_map(|flag| tree.file(&flag.value)).collect()
    };
    for flag in flags(tree, "--config-dir") {
        files.extend(tree.matching(&[&format!("{}/*.conf", flag.value.trim_end_matches('/'))]));
    }
    files
}

/// Returns the file that pods inherit.
pub(super) fn pods_file(tree: &Tree, found: &mut Found) -> PodsFile {
    if let Some(Flag { file, line, value }) = flags(tree, "--resolv-conf").pop() {
        let from = Some(Place { file: file.path.clone(), line });
        return PodsFile { path: value, from };
    }
    let mut pods = PodsFile { path: DEFAULT.to_owned(), from: None };
    let rancher = tree.matching(&RANCHER);
    for (files, key) in [(configuration(tree), "resolvConf"), (rancher.clone(), "resolv-conf")] {
        for file in files {
            let text = file.text();
            let yaml = Yaml::parse(file, &text, found);
            for (start, document) in yaml.documents() {
                let Some(node) = document.get(key) else { continue };
                let Some(path) = node.as_text() else { continue };
                let line = yaml.line(start, node);
                pods =
                    PodsFile { path: path.to_owned(), from: Some(Place { file: file.path.clone(), line: Some(line) }) };
            }
        }
    }
    let own = tree.matching(&[RANCHERS_OWN]);
    if pods.from.is_none() && !(rancher.is_empty() && own.is_empty()) {
        let is_global = |path: &&str| tree.file(path).is_some_and(has_only_global_nameservers);
        let path = [DEFAULT, RESOLVED].into_iter().find(is_global).map(str::to_owned);
        pods.path = path.or_else(|| own.first().map(|file| file.path.clone())).unwrap_or_else(|| DEFAULT.to_owned());
        found.notes.push(format!(
            "K3s and RKE2 choose this file by its addresses; set `resolv-conf` to choose: {}",
            pods.path
        ));
    }
    pods
}

/// Returns whether all nameservers are unicast addresses that leave the host, and there is one.
fn has_only_global_nameservers(file: &NodeFile) -> bool {
    let text = file.text();
    let mut all = nameservers(&text, false).map(|(_, address)| address).peekable();
    all.peek().is_some()
        && all.all(|address| match address {
            IpAddr::V4(it) => {
                !it.is_loopback()
                    && !it.is_link_local()
                    && !it.is_multicast()
                    && !it.is_unspecified()
                    && !it.is_broadcast()
            }
            IpAddr::V6(it) => {
                !it.is_loopback() && !it.is_unicast_link_local() && !it.is_multicast() && !it.is_unspecified()
            }
        })
}

fn search(tree: &Tree, found: &mut Found) {
    for Flag { file, line, value } in flags(tree, "--cluster-dns") {
        for address in addresses(&value) {
            add_cluster_dns(found, (file, line), "--cluster-dns", address);
        }
    }
    for file in configuration(tree) {
        let text = file.text();
        let yaml = Yaml::parse(file, &text, found);
        for (start, document) in yaml.documents() {
            let named = document.get("clusterDNS").map(|node| yaml.list(start, node)).unwrap_or_default();
            for (line, address) in named {
                add_cluster_dns(found, (file, Some(line)), "clusterDNS", address);
            }
        }
    }
    for file in tree.matching(&RANCHER) {
        let text = file.text();
        let yaml = Yaml::parse(file, &text, found);
        for (start, document) in yaml.documents() {
            let Some(node) = document.get("cluster-dns") else { continue };
            let line = yaml.line(start, node);
            for address in node.as_text().into_iter().flat_map(|text| text.split(',')).filter_map(address) {
                add_cluster_dns(found, (file, Some(line)), "cluster-dns", address);
            }
        }
    }
    search_pods_file(tree, found);
    for file in tree.matching(&[RANCHERS_OWN]) {
        for (line, address) in nameservers(&file.text(), false) {
            found.add_derived((file, Some(line)), "nameserver", address).note =
                Some("K3s and RKE2 write it where no resolv.conf has a usable nameserver".to_owned());
        }
    }
}

/// Adds the nameservers of a file that only the kubelet reads.
fn search_pods_file(tree: &Tree, found: &mut Found) {
    let path = pods_file(tree, &mut Found::default()).path;
    let is_known = path == DEFAULT || path.starts_with("/run/") || path.starts_with("/system/");
    let Some(file) = tree.file(&path).filter(|file| !is_known && !matches(RANCHERS_OWN, &file.path)) else { return };
    for (line, address) in nameservers(&file.text(), false) {
        let origin = found.add((file, Some(line)), "resolvConf", address, Persistence::Stored, &[THERE]);
        origin.note = Some("unless a program writes the file at boot".to_owned());
    }
}

/// Adds a nameserver of `ClusterFirst` pods, which is no nameserver of the node.
fn add_cluster_dns(found: &mut Found, at: (&NodeFile, Option<usize>), setting: &str, address: IpAddr) {
    let origin = found.add(at, setting, address, Persistence::Stored, &[]);
    origin.in_use = None;
    origin.note = Some("for pods with dnsPolicy ClusterFirst".to_owned());
    origin.steps = [THERE, "restart the kubelet", "create the pods anew"].map(str::to_owned).to_vec();
}
