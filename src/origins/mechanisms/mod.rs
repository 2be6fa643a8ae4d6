//! The list of mechanisms, one file each. A new one is a file and a line here.

use super::mechanism::{Found, Mechanism};
use super::tree::Tree;
use crate::verdicts::nameserver_origins::Place;

macro_rules! mechanisms {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// All mechanisms; reports have their order.
        pub(super) static MECHANISMS: &[&Mechanism] = &[$(&$module::MECHANISM),*];
    };
}

mechanisms! {
    kubelet,
    resolv_conf,
    resolvconf,
    openresolv,
    systemd_resolved,
    systemd_networkd,
    network_manager,
    ifcfg,
    netconfig,
    netplan,
    ifupdown,
    dhclient,
    dhcpcd,
    cloud_init,
    talos,
    kernel_command_line,
}

/// Returns the file that pods with the DNS policy `Default` inherit, and the kubelet's setting that names it.
pub(super) fn pods_file(tree: &Tree, found: &mut Found) -> (String, Option<Place>) {
    let kubelet::PodsFile { path, from } = kubelet::pods_file(tree, found);
    (path, from)
}
