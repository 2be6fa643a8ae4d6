//! The addresses in an answer belong to another name than the one queried, so that recent glibc alone does not find it.
//!
//! ## Symptoms
//! `nslookup`, musl (Alpine), Go and c-ares find the name, and programs with glibc of 2022 or later report "no such name". Mostly
//! CoreDNS's `rewrite` plugin changes the question and leaves the answer as it is.
//!
//! ## Detection
//! All addresses for a requested name stand under an owner that is neither the queried name nor the target of an alias (CNAME) in the
//! same answer. glibc drops such records since 2.37 (1d495912a7, also in the release branches of 2.34 to 2.36); glibc 2.31, musl and Go
//! do not compare the owner (run in the laboratory on each).
//!
//! ## What to do
//! Let the rule restore the name: `rewrite stop { name regex … answer name … }`, or `answer auto` behind a `name` rule (CoreDNS
//! plugin/rewrite, "Response Rewrites"). A CNAME from the name to the target works with every resolver.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::policy::Level;
use crate::verdicts::failures::Cause;
use crate::verdicts::lookup_costs::refuses_renamed;
use crate::verdicts::observations::{AskedQuery, Observations, Via};
use crate::verdicts::profile_effects::ProfileEffects;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "renamed-answer", source: include_str!("renamed_answer.rs"), check };

/// The number of answers that must agree.
const ANSWERS_MIN: usize = 2;

fn check(seen: &Observations) -> Option<Verdict> {
    let renamed = renamed_names(seen);
    let names: BTreeSet<&str> = renamed.iter().map(|(_, name, _)| *name).collect();
    if names.is_empty() {
        return None;
    }
    let glibc: Vec<&str> = seen
        .programs()
        .filter(|program| refuses_renamed(program.resolver))
        .map(|program| program.name.as_str())
        .collect();
    let what = format!("the answer for {} names another owner, which glibc refuses", list(&names));
    let level = if glibc.is_empty() { Level::Warn } else { Level::Deny };
    let verdict = Verdict::new(&DIAGNOSIS, level, Confidence::Certain, what);
    let verdict = renamed.iter().fold(verdict, |verdict, (server, name, owner)| {
        verdict.evidence(format!(
            "{}: the addresses for {name} belong to {owner}, without an alias from one to the other",
            server.ip()
        ))
    });
    Some(
        verdict
            .evidence_if((!glibc.is_empty()).then(|| format!("{} has glibc's resolver", list(&glibc))))
            .evidence("glibc from 2.37, and 2.34 to 2.36 with later fixes, does not find such a name; older glibc, musl, Go and c-ares do")
            .help(
                "let CoreDNS's `rewrite` rule restore the name in its answer (`answer auto`, or `answer name FROM TO`), or use a CNAME instead",
            )
            .profile_effects(ProfileEffects::none("no option lets glibc accept another owner"))
            .explains(names, &[Cause::Search, Cause::Resolver, Cause::GivenUp]),
    )
}

/// Returns the names whose answers have another owner, with the server and that owner.
fn renamed_names(seen: &Observations) -> Vec<(SocketAddr, &str, &str)> {
    let mut renamed = Vec::new();
    for server in seen.answering_servers() {
        for name in seen.targets.requested() {
            let with_address: Vec<&AskedQuery> =
                seen.queries_for(server, name, Via::Udp).filter(|asked| !asked.addresses().is_empty()).collect();
            let mut owners = with_address.iter().map(|asked| asked.answer().and_then(|it| it.renamed.as_deref()));
            if let Some(Some(owner)) = owners.next()
                && with_address.len() >= ANSWERS_MIN
                && owners.all(|owner| owner.is_some())
            {
                renamed.push((server, name, owner));
            }
        }
    }
    renamed
}

/// Returns whether the answer for some name has another owner.
pub(super) fn is_shown(seen: &Observations) -> bool {
    !renamed_names(seen).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::observations::{LookupResult, Purpose, QueryOutcome};
    use crate::verdicts::tests::{Seen, fires, silent, silent_of};

    const RENAMED: &str = "renamed-answer";

    fn rename(mut is_renamed: impl FnMut(usize) -> bool) -> Seen {
        let mut count = 0;
        Seen::healthy().change(move |asked| {
            let is_it = asked.name == "example.com" && !asked.addresses().is_empty();
            if let QueryOutcome::Answer(answer) = &mut asked.outcome
                && is_it
            {
                if is_renamed(count) {
                    answer.renamed = Some("web.shop.svc.cluster.local".to_owned());
                }
                count += usize::from(asked.purpose == Purpose::External);
            }
        })
    }

    #[test]
    fn fires_if_every_answer_has_another_owner() {
        let mut seen = rename(|_| true);
        for lookup in seen.lookups.iter_mut().filter(|lookup| lookup.name.starts_with("example.com")) {
            lookup.result = LookupResult::Nothing;
        }
        let verdict = fires(RENAMED, &seen);
        assert_eq!(verdict.what, "the answer for example.com names another owner, which glibc refuses");
        assert_eq!((verdict.level, &verdict.failing_names[..]), (Level::Deny, &["example.com".to_owned()][..]));
        silent_of("libc-disagrees", &seen);
        silent_of("name-fails", &seen);
    }

    #[test]
    fn warns_if_no_glibc_is_known() {
        let mut seen = rename(|_| true);
        seen.environment.programs.clear();
        seen.lookups.clear();
        assert_eq!(fires(RENAMED, &seen).level, Level::Warn);
    }

    #[test]
    fn silent_for_one_such_answer() {
        silent_of(RENAMED, &rename(|count| count == 3));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(RENAMED);
    }
}
