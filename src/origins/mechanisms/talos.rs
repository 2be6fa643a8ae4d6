//! Talos: the machine configuration, and the files that Talos writes for its own services and for pods.
//!
//! Sources: Talos's reference of the machine configuration, `machine.network.nameservers`, and of the document `ResolverConfig` (from
//! 1.12), `nameservers: [{address: …}]`; pkg/machinery/constants for `/system/state` (the configuration is `config.yaml` there) and
//! `/system/resolved/resolv.conf`, which the kubelet's `resolvConf` names.

use crate::manifest::Node;
use crate::origins::mechanism::{Found, Mechanism, no_further};
use crate::origins::text::nameservers;
use crate::origins::tree::Tree;
use crate::origins::yaml::{Named, Yaml};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism =
    Mechanism { name: "Talos", files: &[&[CONFIGURATION], &WRITTEN], programs: &[], further: no_further, search };

const CONFIGURATION: &str = "/system/state/config.yaml";
const WRITTEN: [&str; 2] = ["/system/etc/resolv.conf", "/system/resolved/resolv.conf"];

fn search(tree: &Tree, found: &mut Found) {
    if let Some(file) = tree.file(CONFIGURATION) {
        let text = file.text();
        let yaml = Yaml::parse(file, &text, found);
        for (start, document) in yaml.documents() {
            let is_resolver = document.get("kind").and_then(Node::as_text) == Some("ResolverConfig");
            let network = if is_resolver { Some(document) } else { document.pointer("/machine/network") };
            let named = network.map(|node| yaml.nameservers(start, node)).unwrap_or_default();
            for Named { line, address, key } in named {
                let steps = ["change it by `talosctl edit machineconfig --nodes NODE`"];
                found.add((file, Some(line)), key, address, Persistence::Stored, &steps);
            }
        }
    }
    for file in tree.matching(&WRITTEN) {
        for (line, address) in nameservers(&file.text(), false) {
            found.add_derived((file, Some(line)), "nameserver", address);
        }
    }
}
