//! A transparent proxy answers in place of the nameservers.
//!
//! ## Symptoms
//! Proxies such as Clash or sing-box intercept all packets to port 53. They answer with addresses that only they know, mostly of
//! 198.18.0.0/15, with a time to live of 1 s. Names of the cluster then have such addresses too, or none. An address that one
//! program got is useless on another machine.
//!
//! ## Detection
//! An external name with an address of 198.18.0.0/15 is enough: the range is reserved for benchmarks (RFC 2544). Any other address
//! that is not global needs a second sign, as a company's own zone may hold such addresses: a name that does not exist has the same
//! address, or a time to live of at most 1 s in each answer. The latter alone is a warning, as servers such as Consul give their own
//! names such times. The probe also sends a query to 192.0.2.1 (TEST-NET-1, RFC 5737), an address
//! that no host has: any answer comes from an interceptor. `--no-interception-query` leaves that query out.
//!
//! ## What to do
//! Exclude the nameserver's address, the cluster's Service and Pod ranges and the cluster's domain from interception.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::policy::Level;
use crate::verdicts::observations::{Answer, AskedQuery, Observations, Purpose, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis = Diagnosis { slug: "fake-ip", source: include_str!("fake_ip.rs"), check };

/// An address of TEST-NET-1, which no host has.
pub const TEST_NET_1: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The longest time to live that proxies give.
const SHORT_LIVED_SECONDS: u32 = 1;
/// The number of answers that must all be short-lived.
const SHORT_LIVED_MIN: usize = 3;

/// Signs of a proxy that answers with addresses of its own.
struct Signs<'a> {
    /// External names with addresses that are not global.
    names: Vec<&'a str>,
    /// The addresses of these names that are not global.
    addresses: Vec<IpAddr>,
    /// Addresses of names that do not exist.
    invented: Vec<IpAddr>,
    /// Such an answer may be cached for at most 1 s.
    is_short_lived: bool,
}

fn check(seen: &Observations) -> Option<Verdict> {
    let signs = Signs::find(seen);
    let intercepted = seen.asked_for(Purpose::Interception).find(|asked| asked.is_answered());
    let shown = signs.show_fakes();
    let fakes = shown.is_some();
    if !fakes && intercepted.is_none() {
        return None;
    }
    // An interceptor is a sign of its own.
    let confidence = shown.filter(|_| intercepted.is_none()).unwrap_or(Confidence::Certain);
    let Signs { names, addresses, invented, is_short_lived } = &signs;
    let (level, what) = if fakes {
        let level = if confidence == Confidence::Certain { Level::Deny } else { Level::Warn };
        (level, format!("external names have addresses that no external host can have: {}", first_few(addresses)))
    } else {
        (Level::Warn, "packets to port 53 are intercepted, whatever their destination".to_owned())
    };
    let servers = list(seen.targets.servers.iter().map(SocketAddr::ip));
    let verdict = Verdict::new(&DIAGNOSIS, level, confidence, what)
        .evidence_if(fakes.then(|| format!("{} has {}", list(names), first_few(addresses))))
        .evidence_if((!invented.is_empty()).then(|| format!("names that do not exist have {}", first_few(invented))))
        .evidence_if(is_short_lived.then(|| "such an answer may be cached for at most 1 s".to_owned()))
        .evidence_if((confidence == Confidence::Likely).then(|| {
            "a nameserver that gives its own private names such times, such as Consul's, looks the same".to_owned()
        }))
        .evidence_if(intercepted.map(|asked| {
            let (address, time) = (asked.server.ip(), asked.took.as_millis());
            format!("{address}, which no host has (TEST-NET-1), answered a query after {time} ms")
        }))
        .help(format!(
            "exclude from interception: {servers} (port 53), the cluster's Service and Pod ranges, and names below {}",
            seen.targets.cluster_domain
        ))
        .help_if(
            fakes.then(|| "let only machines that run the proxy use 198.18.0.0/15 and the addresses above".to_owned()),
        )
        .profile_effects(ProfileEffects::none("the packets are intercepted on their way, for every resolver"));
    Some(verdict)
}

// === impl Signs ===

impl<'a> Signs<'a> {
    fn find(seen: &'a Observations) -> Self {
        // Proxies intercept UDP.
        let is_plain = |asked: &&AskedQuery| asked.is_answered() && asked.via == Via::Udp;
        let external = || seen.asked_for(Purpose::External).filter(is_plain);
        let has_fake = |asked: &&AskedQuery| asked.addresses().iter().any(|ip| !is_global(*ip));
        let mut names: Vec<&str> = external().filter(has_fake).map(|asked| asked.name.as_str()).collect();
        names.dedup();
        Self {
            names,
            addresses: not_global(external()),
            invented: not_global(seen.asked_for(Purpose::Invented)),
            // One short time can be the last second of a cached answer.
            is_short_lived: external().filter(has_fake).count() >= SHORT_LIVED_MIN
                && external()
                    .filter(has_fake)
                    .all(|asked| asked.answer().is_some_and(|answer| answer.ttl.is_some_and(|ttl| ttl <= 1))),
        }
    }

    /// Returns whether the signs suffice: a benchmark address, or another one with a second sign; and with what confidence.
    fn show_fakes(&self) -> Option<Confidence> {
        let Self { names: _, addresses, invented, is_short_lived } = self;
        // A page for misspelt names, or one domain's wildcard, has an address of its own, and the same for all.
        let also_invented = invented.iter().any(|ip| addresses.contains(ip));
        if also_invented || addresses.iter().any(|ip| is_benchmark(*ip)) {
            return Some(Confidence::Certain);
        }
        (!addresses.is_empty() && *is_short_lived).then_some(Confidence::Likely)
    }
}

/// Returns the addresses in these answers that are not global, each once.
fn not_global<'a>(queries: impl Iterator<Item = &'a AskedQuery>) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> =
        queries.flat_map(AskedQuery::addresses).copied().filter(|ip| !is_global(*ip)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Lists the first three addresses, and counts the others.
fn first_few(addresses: &[IpAddr]) -> String {
    const SHOWN: usize = 3;
    let more = addresses.len().saturating_sub(SHOWN);
    let shown = list(addresses.iter().take(SHOWN));
    if more == 0 { shown } else { format!("{shown}, and {more} more") }
}

/// Returns whether this answer for an external name has an address that a proxy made: one of the benchmark range, or one that is not global
/// and may hardly be cached.
pub(crate) fn is_made_up(answer: &Answer) -> bool {
    let is_short_lived = answer.ttl.is_some_and(|ttl| ttl <= SHORT_LIVED_SECONDS);
    answer.addresses.iter().any(|ip| is_benchmark(*ip) || (is_short_lived && !is_global(*ip)))
}

/// Returns whether an address is of the benchmark range, from which proxies take theirs.
pub(crate) fn is_benchmark(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 198 && ip.octets()[1] & 0xfe == 18)
}

/// Returns whether an Internet host can have an address (IANA's registries of special-purpose addresses; the method of this name in
/// `std` is unstable).
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
                let is_unicast = a & 0xe000 == 0x2000; // all assigned addresses are in 2000::/3
                is_unicast && !(a == 0x2001 && b == 0xdb8) && !(a == 0x2001 && b == 2)
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
    fn fires_for_an_address_of_the_benchmark_range() {
        let verdict = fires(FAKE, &external("198.19.0.7", 60));
        assert_eq!((verdict.level, verdict.confidence), (Level::Deny, Confidence::Certain));
        assert!(verdict.help[0].contains("10.0.0.10 (port 53)"), "{:?}", verdict.help);
    }

    #[test]
    fn other_addresses_need_a_second_sign() {
        silent_of(FAKE, &external("10.8.0.7", 300));
        let verdict = fires(FAKE, &external("10.8.0.7", 1));
        assert_eq!(
            (verdict.level, verdict.confidence),
            (Level::Warn, Confidence::Likely),
            "Consul's names look the same"
        );
        let invented = |ip: &'static str| {
            external("10.8.0.7", 300).change(move |asked| {
                if asked.purpose == Purpose::Invented {
                    asked.outcome = answer(&[ip], 300);
                }
            })
        };
        fires(FAKE, &invented("10.8.0.7"));
        silent_of(FAKE, &invented("10.8.0.8"));
        // A cached answer has a short time left in its last second.
        let mut first = true;
        silent_of(
            FAKE,
            &external("10.8.0.7", 300).change(move |asked| {
                if asked.purpose == Purpose::External && std::mem::replace(&mut first, false) {
                    asked.outcome = answer(&["10.8.0.7"], 1);
                }
            }),
        );
    }

    #[test]
    fn silent_for_a_short_time_to_live_of_a_global_address() {
        silent_of(FAKE, &external("93.184.215.14", 1));
    }

    #[test]
    fn warns_if_an_address_without_a_host_answers() {
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Interception {
                asked.outcome = answer(&["93.184.215.14"], 300);
            }
        });
        assert_eq!(fires(FAKE, &seen).level, Level::Warn);
    }

    #[test]
    fn global_ranges_match_ianas_registries() {
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
