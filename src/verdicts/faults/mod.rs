//! The list of diagnoses, one file each. A new one is a file and a line here.

use super::verdict::Diagnosis;

pub use fake_ip::TEST_NET_1;

macro_rules! diagnoses {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        /// All diagnoses; among verdicts of one level, the most useful to read comes first.
        pub static DIAGNOSES: &[&Diagnosis] = &[$(&$module::DIAGNOSIS),*];
    };
}

diagnoses! {
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
