//! The list of all faults, one file each.

use super::verdict::Fault;

pub use fake_ip::NOBODY;

macro_rules! faults {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every fault, the most useful to read first among those of one level.
        pub static FAULTS: &[&Fault] = &[$(&$module::FAULT),*];
    };
}

faults! {
    stale_nameserver,
    udp53_blocked_tcp_open,
    fake_ip,
    nxdomain_hijack,
    aaaa_broken,
    truncation,
    conntrack_race,
    id_collision,
    rate_limited,
    lossy_path,
    slow_server,
    search_expansion,
    libc_disagrees,
    clock,
}

// === impl Fault ===

impl Fault {
    /// The fault of this slug.
    pub fn named(slug: &str) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.slug == slug).copied()
    }
}
