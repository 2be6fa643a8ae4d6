//! Names that nobody has are given addresses.
//!
//! ## What it looks like
//! A provider's resolver, or a portal, answers for names that do not exist with the address of a page of its own. A search list then
//! ends at its first domain, with a wrong address: `my-service` is a stranger. A misspelt name connects somewhere.
//!
//! ## How it is told
//! Names of 20 random letters are asked for below several domains that have nothing to do with each other. One domain may hold a
//! wildcard of its own; two that give the same address do not. Addresses of 198.18.0.0/15 are `fake-ip`.
//!
//! ## What to do
//! Let CoreDNS forward to servers that answer NXDOMAIN, or switch the provider's "search help" off.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fake_ip::{is_benchmark, is_global};
use crate::policy::Level;
use crate::verdicts::observations::{Asked, Observations, Purpose};
use crate::verdicts::profile_effects::Relief;
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Fault, Sureness, Verdict, list};

pub(super) static FAULT: Fault = Fault { slug: "nxdomain-hijack", source: include_str!("nxdomain_hijack.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let invented: Vec<&Asked> = seen.asked_for(Purpose::Invented).filter(|asked| asked.is_answered()).collect();
    let mut domains_by_address: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
    for asked in &invented {
        let domain = asked.name.split_once('.').map_or("", |(_, domain)| domain);
        for address in asked.addresses().iter().filter(|ip| !is_benchmark(**ip)) {
            domains_by_address.entry(*address).or_default().insert(domain);
        }
    }
    let (address, domains) = domains_by_address.iter().max_by_key(|(_, domains)| domains.len())?;
    // A proxy that fakes all names fakes these too.
    if domains.len() < 2 || seen.asked_for(Purpose::External).any(|asked| asked.addresses().contains(address)) {
        return None;
    }
    let answered = Rate::of(&invented, |asked| !asked.addresses().is_empty());
    let verdict = Verdict::new(
        &FAULT,
        Level::Deny,
        Sureness::Sure,
        format!("names that nobody has are given {address}"),
    )
    .evidence(format!("{} of {} invented names have an address", answered.hits, answered.of))
    .evidence(format!("names below {} have the same one", list(domains)))
    .evidence_if(
        (!is_global(*address))
            .then(|| "it is no global address: a portal before the network may ask for a login".to_owned()),
    )
    .evidence_if((!seen.surroundings.resolv_conf.search.is_empty()).then(|| {
        "each name that is tried with a search domain that the provider answers for is found at the wrong place"
            .to_owned()
    }))
    .help("let the nameserver forward to servers that answer NXDOMAIN, or switch this service of the provider off")
    .relief(Relief::none("resolvers believe the address that they are given"));
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::tests::{Seen, answer, fires, silent, silent_of};

    const HIJACK: &str = "nxdomain-hijack";

    fn invented(ip: &'static str, below: &'static str) -> Seen {
        Seen::healthy().change(move |asked| {
            if asked.purpose == Purpose::Invented && asked.name.ends_with(below) {
                asked.outcome = answer(&[ip], 60);
            }
        })
    }

    #[test]
    fn fires_where_names_of_several_domains_have_one_address() {
        assert_eq!(fires(HIJACK, &invented("203.0.114.7", "")).what, "names that nobody has are given 203.0.114.7");
    }

    #[test]
    fn a_wildcard_of_one_domain_is_its_owners_affair() {
        silent_of(HIJACK, &invented("203.0.114.7", ".net"));
    }

    #[test]
    fn fake_addresses_are_another_fault() {
        silent_of(HIJACK, &invented("198.18.0.7", ""));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(HIJACK);
    }
}
