//! The files around the probe: resolv.conf, nsswitch.conf, hosts, what the kernel says. All of them may be missing. Must not know what
//! they mean.

use std::fs;
use std::io;
use std::path::Path;

use crate::verdicts::observations::Conntrack;
use crate::verdicts::system_files::{Nsswitch, ResolvConf};

/// Where conntrack's counters stand, one line a processor, in hexadecimal; each network namespace has its own.
const CONNTRACK: &str = "/proc/net/stat/nf_conntrack";

/// Reads a resolv.conf.
pub(super) fn resolv_conf(path: &Path) -> io::Result<ResolvConf> {
    Ok(ResolvConf::parse(&fs::read_to_string(path)?))
}

/// Reads an nsswitch.conf, if it is there and speaks of hosts.
pub(super) fn nsswitch(path: &Path) -> Option<Nsswitch> {
    Nsswitch::parse(&fs::read_to_string(path).ok()?)
}

/// Which of these names the hosts file has.
pub(super) fn in_hosts(path: &Path, names: &[String]) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let listed: Vec<&str> = lines.flat_map(|line| line.split_ascii_whitespace().skip(1)).collect();
    names.iter().filter(|name| listed.iter().any(|listed| listed.eq_ignore_ascii_case(name))).cloned().collect()
}

/// The kernel's release.
pub(super) fn kernel() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())
}

/// What conntrack has counted since it began, where it can be read.
pub(super) fn conntrack() -> Option<Conntrack> {
    counters(&fs::read_to_string(CONNTRACK).ok()?)
}

fn counters(text: &str) -> Option<Conntrack> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    let column = |name: &str| names.iter().position(|column| *column == name);
    let (insert_failed, drop, clash) = (column("insert_failed")?, column("drop")?, column("clashres"));
    let mut sum = Conntrack::default();
    for line in lines {
        let values: Vec<u64> =
            line.split_ascii_whitespace().map(|value| u64::from_str_radix(value, 16).unwrap_or(0)).collect();
        let of = |at: usize| values.get(at).copied().unwrap_or(0);
        sum.insert_failed += of(insert_failed);
        sum.drop += of(drop);
        sum.clash_resolve += clash.map_or(0, of);
    }
    Some(sum)
}

// === impl Conntrack ===

impl Conntrack {
    /// What came since.
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            insert_failed: self.insert_failed.saturating_sub(before.insert_failed),
            drop: self.drop.saturating_sub(before.drop),
            clash_resolve: self.clash_resolve.saturating_sub(before.clash_resolve),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conntrack_is_counted_over_all_processors_in_hexadecimal() {
        let text = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  \
                    expect_new expect_create expect_delete search_restart\n\
                    00000002  00000003 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000000a 00000001 00000000 \
                    00000000  00000000 00000000 00000000 00000000\n\
                    00000002  00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000 \
                    00000000  00000000 00000000 00000000 00000000\n";
        let counted = counters(text).unwrap();
        assert_eq!((counted.insert_failed, counted.drop), (11, 1));
        assert_eq!(counters("entries\n0\n"), None);
    }
}
