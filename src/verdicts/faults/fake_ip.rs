//! A transparent proxy answers in the place of the nameservers.
//!
//! ## What it looks like
//! Proxies such as Clash or sing-box take in all packets to port 53 and answer with addresses that only they know, mostly of
//! 198.18.0.0/15, with a time to live of 1 s. Names of the cluster then have such addresses too or none, and an address that one
//! program was given means nothing to another machine.
//!
//! ## How it is told
//! A name outside that has an address of 198.18.0.0/15 is enough: the range is for benchmarks (RFC 2544). Any other address that is
//! not global needs a second sign, as a company's own zone may hold such addresses: a time to live of at most 1 s, or a name that
//! nobody has and has the same address. And a query is sent to 192.0.2.1 (TEST-NET-1, RFC 5737), where nobody can be: whoever
//! answers it takes in other people's packets. `--no-interception-query` leaves that out.
//!
//! ## What to do
//! Exclude the nameserver's address, the cluster's Service and Pod ranges and the cluster's domain from interception.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::policy::Level;
use crate::verdicts::observations::{Asked, Observations, Purpose};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "fake-ip", source: include_str!("fake_ip.rs"), check };

/// Where nobody can be: an address of TEST-NET-1.
pub const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn check(seen: &Observations) -> Option<Verdict> {
    let external: Vec<&Asked> = seen.asked_for(Purpose::External).filter(|asked| asked.is_answered()).collect();
    let invented: Vec<&Asked> = seen.asked_for(Purpose::Invented).filter(|asked| asked.is_answered()).collect();
    let of = |asked: &[&Asked], is_so: fn(IpAddr) -> bool| {
        let mut found: Vec<IpAddr> =
            asked.iter().flat_map(|asked| asked.addresses()).copied().filter(|ip| is_so(*ip)).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let benchmark = of(&external, is_benchmark);
    let not_global = of(&external, |ip| !is_global(ip));
    let invented_too = of(&invented, |ip| !is_global(ip));
    // A page for misspelt names, or one domain's wildcard, has an address of its own, and the same for all.
    let alike = invented_too.iter().any(|ip| not_global.contains(ip));
    let short_lived = external.iter().any(|asked| {
        asked.addresses().iter().any(|ip| !is_global(*ip)) && asked.answer().is_some_and(|answer| answer.ttl <= Some(1))
    });
    let intercepted: Vec<&Asked> = seen.asked_for(Purpose::Interception).filter(|asked| asked.is_answered()).collect();
    let fakes = !benchmark.is_empty() || (!not_global.is_empty() && (short_lived || alike));
    if !fakes && intercepted.is_empty() {
        return None;
    }
    let what = if fakes {
        format!("names outside have addresses that nobody outside can have: {}", few(&not_global))
    } else {
        "packets to port 53 are taken in, whomever they are sent to".to_owned()
    };
    let level = if fakes { Level::Deny } else { Level::Warn };
    let names: Vec<String> = {
        let mut names: Vec<String> = external
            .iter()
            .filter(|asked| asked.addresses().iter().any(|ip| !is_global(*ip)))
            .map(|asked| asked.name.clone())
            .collect();
        names.dedup();
        names
    };
    let servers = list(seen.targets.servers.iter().map(SocketAddr::ip));
    let verdict = Verdict::new(&FAULT, level, Sureness::Sure, what)
        .evidence_if(fakes.then(|| format!("{} has {}", list(&names), few(&not_global))))
        .evidence_if((!invented_too.is_empty()).then(|| format!("names that nobody has, have {}", few(&invented_too))))
        .evidence_if(short_lived.then(|| "such an answer may be kept for at most 1 s".to_owned()))
        .evidence_if(intercepted.first().map(|asked| {
            format!(
                "{}, where nobody can be (TEST-NET-1), answered a query after {} ms",
                asked.server.ip(),
                asked.took.as_millis()
            )
        }))
        .help(format!(
            "exclude from interception: {servers} (port 53), the cluster's Service and Pod ranges, and names below {}",
            seen.targets.cluster_domain
        ))
        .help_if(fakes.then(|| {
            "leave 198.18.0.0/15 and the ranges above to the proxy alone only on machines that it runs on".to_owned()
        }))
        .relief(Relief::none("the packets are taken in on their way, whatever resolver sends them"));
    Some(verdict)
}

/// The first few of these.
fn few(addresses: &[IpAddr]) -> String {
    const SHOWN: usize = 3;
    let more = addresses.len().saturating_sub(SHOWN);
    let shown = list(addresses.iter().take(SHOWN));
    if more == 0 { shown } else { format!("{shown}, and {more} more") }
}

/// Of the range that proxies take their addresses from.
pub(super) fn is_benchmark(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 198 && ip.octets()[1] & 0xfe == 18)
}

/// Whether an address can be somebody's on the Internet (IANA's registries of special-purpose addresses; `std`'s own test of this
/// name is unstable).
pub(super) fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_documentation()
                || ip.is_broadcast()
                || a == 0
                || (a == 100 && b & 0xc0 == 64)
                || (a == 192 && b == 0 && c == 0)
                || is_benchmark(IpAddr::V4(ip))
                || a >= 224)
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(mapped) => is_global(IpAddr::V4(mapped)),
            None => {
                let [a, b, ..] = ip.segments();
                let outside = a & 0xe000 == 0x2000; // 2000::/3 is all that is given out
                outside && !(a == 0x2001 && b == 0xdb8) && !(a == 0x2001 && b == 2)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::tests::{Seen, answer, fires, silent, silent_of};

    const FAKE: &str = "fake-ip";

    fn external(ip: &'static str, ttl: u32) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::External {
                asked.outcome = answer(&[ip], ttl);
            }
        })
    }

    #[test]
    fn an_address_of_the_benchmark_range_is_enough() {
        let verdict = fires(FAKE, &external("198.19.0.7", 60));
        assert_eq!((verdict.level, verdict.sureness), (Level::Deny, Sureness::Sure));
        assert!(verdict.help[0].contains("10.0.0.10 (port 53)"), "{:?}", verdict.help);
    }

    #[test]
    fn another_address_needs_a_second_sign() {
        silent_of(FAKE, &external("10.8.0.7", 300));
        fires(FAKE, &external("10.8.0.7", 1));
        let invented = |ip: &'static str| {
            external("10.8.0.7", 300).change(move |asked| {
                if asked.purpose == Purpose::Invented {
                    asked.outcome = answer(&[ip], 300);
                }
            })
        };
        fires(FAKE, &invented("10.8.0.7"));
        silent_of(FAKE, &invented("10.8.0.8"));
    }

    #[test]
    fn a_short_time_to_live_of_a_global_address_is_nothing() {
        silent_of(FAKE, &external("93.184.215.14", 1));
    }

    #[test]
    fn an_answer_of_nobody_is_a_warning() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Interception {
                asked.outcome = answer(&["93.184.215.14"], 300);
            }
        });
        assert_eq!(fires(FAKE, &seen).level, Level::Warn);
    }

    #[test]
    fn ranges_are_those_of_iana() {
        for ip in
            ["198.18.0.1", "198.19.255.255", "10.1.1.1", "100.64.0.1", "127.0.0.1", "fc00::1", "2001:db8::1", "0.0.0.0"]
        {
            assert!(!is_global(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["198.20.0.1", "8.8.8.8", "100.128.0.1", "2606:4700::1111", "192.0.1.1"] {
            assert!(is_global(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(FAKE);
    }
}
