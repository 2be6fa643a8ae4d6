//! cloud-init: network data and `resolv_conf` in its own files. The files that it writes for other programs are found with those.
//!
//! Sources: cloud-init's documentation of network configuration, versions 1 and 2, and `network: {config: disabled}`; of the module
//! Resolv Conf: only if `manage_resolv_conf` is true, on Alpine, Fedora, RHEL, SUSE and their kin; cc_resolv_conf.py. Paths:
//! `/etc/cloud/cloud.cfg`, `cloud.cfg.d`; `/var/lib/cloud/seed` (NoCloud); `/var/lib/cloud/instance/{cloud-config.txt,network-config.json}`;
//! `/run/cloud-init/network-config.json`.

use crate::manifest::Node;
use crate::origins::mechanism::{Found, Mechanism, THERE, no_further};
use crate::origins::tree::{NodeFile, Tree};
use crate::origins::yaml::{Named, Yaml};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "cloud-init",
    files: &[&FILES],
    programs: &["/usr/bin/cloud-init", "/usr/local/bin/cloud-init"],
    further: no_further,
    search,
};

const FILES: [&str; 7] = [
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d/*.cfg",
    "/var/lib/cloud/instance/cloud-config.txt",
    "/var/lib/cloud/instance/network-config.json",
    "/var/lib/cloud/seed/*/user-data",
    "/var/lib/cloud/seed/*/network-config",
    "/run/cloud-init/network-config.json",
];
const STEP: &str = "run `cloud-init clean --reboot`, or change what cloud-init has already written";

fn search(tree: &Tree, found: &mut Found) {
    let mut manages = false;
    let mut is_disabled = false;
    let mut parsed: Vec<(&NodeFile, Vec<Named>, bool)> = Vec::new();
    for file in tree.matching(&FILES) {
        let text = file.text();
        let yaml = Yaml::parse(file, &text, found);
        let is_network = file.name().starts_with("network-config");
        for (start, document) in yaml.documents() {
            let network = document.get("network").or(is_network.then_some(document));
            is_disabled |=
                !is_network && network.and_then(|it| it.get("config")).and_then(Node::as_text) == Some("disabled");
            manages |= document.get("manage_resolv_conf").is_some_and(|value| value.as_bool() == Some(true));
            for (node, is_resolv_conf) in [(network, false), (document.get("resolv_conf"), true)] {
                let named = node.map(|node| yaml.nameservers(start, node)).unwrap_or_default();
                parsed.push((file, named, is_resolv_conf));
            }
        }
    }
    for (file, named, is_resolv_conf) in parsed {
        for Named { line, address, key } in named {
            // What a datasource gave is read again for a new instance only.
            let is_given = file.path.starts_with("/var/lib/cloud/instance") || file.path.starts_with("/run/");
            let first = if is_given { "change the instance's user data or network data" } else { THERE };
            let origin = found.add((file, Some(line)), key, address, Persistence::Stored, &[first, STEP]);
            let reason = if is_resolv_conf && !manages {
                Some("`manage_resolv_conf` is not true")
            } else if !is_resolv_conf && is_disabled {
                Some("`network: {config: disabled}` is set")
            } else {
                None
            };
            if let Some(reason) = reason {
                origin.persistence = Persistence::NoEffect;
                origin.note = Some(reason.to_owned());
                origin.steps.clear();
            }
        }
    }
}
