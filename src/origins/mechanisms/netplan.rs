//! netplan of Ubuntu from 17.10: YAML from which the files of systemd-networkd or NetworkManager are written at boot.
//!
//! Sources: netplan(5), `nameservers: addresses:`; netplan-generate(8), HANDLING MULTIPLE FILES: `/run` hides `/etc`, which hides
//! `/lib`, for equal names; other files are merged.

use crate::manifest::Node;
use crate::origins::mechanism::{Found, Mechanism, first_step, no_further, note_hidden, overridden};
use crate::origins::tree::Tree;
use crate::origins::yaml::{Named, Yaml};
use crate::verdicts::nameserver_origins::Persistence;

pub(super) static MECHANISM: Mechanism = Mechanism {
    name: "netplan",
    files: &[&FILES],
    programs: &["/usr/sbin/netplan", "/usr/libexec/netplan", "/usr/lib/netplan", "/lib/netplan/generate"],
    further: no_further,
    search,
};

/// In the order in which they win.
const FILES: [&str; 4] =
    ["/run/netplan/*.yaml", "/etc/netplan/*.yaml", "/usr/lib/netplan/*.yaml", "/lib/netplan/*.yaml"];

fn search(tree: &Tree, found: &mut Found) {
    for (file, hidden_by) in overridden(tree, &FILES) {
        let text = file.text();
        let yaml = Yaml::parse(file, &text, found);
        let networks = yaml.documents().filter_map(|(start, node)| Some((start, node.get("network")?)));
        let named: Vec<Named> =
            networks.flat_map(|(start, node): (usize, Node<'_>)| yaml.nameservers(start, node)).collect();
        for Named { line, address, key } in named {
            let is_runtime = file.path.starts_with("/run/");
            let persistence = if is_runtime { Persistence::Runtime } else { Persistence::Stored };
            let steps = [first_step(file), "run `netplan apply`"];
            let origin = found.add((file, Some(line)), key, address, persistence, &steps);
            note_hidden(origin, hidden_by);
        }
    }
}
