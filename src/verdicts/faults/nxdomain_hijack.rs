//! Names that do not exist resolve, because something rewrites NXDOMAIN.
//!
//! ## Symptoms
//! A provider's resolver, or a captive portal, answers for names that do not exist with the address of a page of its own. A search
//! list then ends at its first domain with a wrong address, so `my-service` leads to a foreign host. A misspelt name connects
//! somewhere.
//!
//! ## Detection
//! The probe asks for names of 20 random letters below several unrelated domains. One domain may have a wildcard; two that give the
//! same address do not. Addresses of 198.18.0.0/15 are `fake-ip`.
//!
//! ## What to do
//! Let CoreDNS forward to servers that answer NXDOMAIN, or switch off the provider's "search help".

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::fake_ip::{is_benchmark, is_global};
use crate::policy::Level;
use crate::verdicts::observations::{AskedQuery, Observations, Purpose};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "nxdomain-hijack", source: include_str!("nxdomain_hijack.rs"), check };

fn check(seen: &Observations) -> Option<Verdict> {
    let invented: Vec<&AskedQuery> = seen.asked_for(Purpose::Invented).filter(|asked| asked.is_answered()).collect();
    let mut domains_by_address: BTreeMap<IpAddr, BTreeSet<&str>> = BTreeMap::new();
    for asked in &invented {
        let domain = asked.name.split_once('.').map_or("", |(_, domain)| domain);
        for address in asked.addresses().iter().filter(|ip| !is_benchmark(**ip)) {
            domains_by_address.entry(*address).or_default().insert(domain);
        }
    }
    let (address, domains) = domains_by_address.iter().max_by_key(|(_, domains)| domains.len())?;
    // A proxy that fakes all names fakes these too: that is fake-ip.
    if domains.len() < 2 || seen.asked_for(Purpose::External).any(|asked| asked.addresses().contains(address)) {
        return None;
    }
    let answered = Rate::count(&invented, |asked| !asked.addresses().is_empty());
    let verdict = Verdict::new(
        &DIAGNOSIS,
        Level::Deny,
        Confidence::Certain,
        format!("names that do not exist resolve to {address}"),
    )
    .evidence(format!("{} of {} invented names have an address", answered.hits, answered.total))
    .evidence(format!("names below {} have the same address", list(domains)))
    .evidence_if(
        (!is_global(*address)).then(|| "the address is not global: a captive portal may wait for a login".to_owned()),
    )
    .evidence_if((!seen.environment.resolv_conf.search.is_empty()).then(|| {
        "a name tried with a search domain that the provider answers for resolves to a wrong address".to_owned()
    }))
    .help("let the nameserver forward to servers that answer NXDOMAIN, or switch off this service of the provider")
    .profile_effects(ProfileEffects::none("resolvers accept any address that they get"));
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
    fn fires_if_names_of_several_domains_have_one_address() {
        assert_eq!(fires(HIJACK, &invented("203.0.114.7", "")).what, "names that do not exist resolve to 203.0.114.7");
    }

    #[test]
    fn silent_for_a_wildcard_of_one_domain() {
        silent_of(HIJACK, &invented("203.0.114.7", ".net"));
    }

    #[test]
    fn silent_for_addresses_of_a_proxy() {
        silent_of(HIJACK, &invented("198.18.0.7", ""));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(HIJACK);
    }
}
