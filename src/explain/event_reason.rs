//! The page about the reason of an Event: its subject, and the rules that report with it.

use super::page::Page;
use crate::rules::{
    CERTIFICATE_UNUSABLE, DNS_FAULT, DNS_FAULT_ENDED, EventReason, PODS_MISSED, RISK_NOT_ACCEPTED, ROLLOUT_PROMOTED,
    ROLLOUT_ROLLED_BACK, RULES, SEARCH_DOMAIN_BROKEN, SEARCH_DOMAIN_HEALTHY,
};

/// The reasons of all Events of muslin, and the subject of each.
pub(super) fn reasons() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_pods = EventReason::ALL.into_iter().map(|reason| (reason.name(), reason.about()));
    of_pods.chain([
        (CERTIFICATE_UNUSABLE, "muslin's own certificate from files, which API servers cannot trust"),
        (PODS_MISSED, "pods that were created without a review, although the mode of their namespace asks for one"),
        (RISK_NOT_ACCEPTED, "a ResolverProfile with a cache on the node whose risks `acceptRisk` does not name"),
        (ROLLOUT_PROMOTED, "new settings of a ResolverProfile that all new pods get from now on"),
        (ROLLOUT_ROLLED_BACK, "new settings of a ResolverProfile that no new pod gets any more"),
        (SEARCH_DOMAIN_BROKEN, "a search domain of a node that breaks lookups of names outside the cluster"),
        (SEARCH_DOMAIN_HEALTHY, "a search domain of a node that no longer breaks lookups"),
        (DNS_FAULT, "a verdict about DNS on a node, which a watch there found twice"),
        (DNS_FAULT_ENDED, "a verdict about DNS on a node, which a watch there no longer finds"),
    ])
}

/// `name` is that of a reason.
pub(super) fn page(name: &'static str) -> Page {
    let mut page = Page::titled(format_args!("Event reason `{name}`"));
    let Some(about) = reasons().find_map(|(reason, about)| (reason == name).then_some(about)) else { return page };
    page.paragraph(format_args!("The Event reports {about}."));
    let rules = RULES.iter().filter(|rule| rule.reason.name() == name);
    let rules: Vec<_> = rules.map(|rule| format!("`{}`: {}", rule.slug, rule.summary())).collect();
    if name == CERTIFICATE_UNUSABLE {
        page.paragraph("muslin writes it on its own pod. Replace the certificate or its key; muslin reads the files again by itself.");
    } else if name == PODS_MISSED {
        page.paragraph("muslin writes it on its Deployment, at most once an hour. `muslin doctor` finds the cause; `docs/operations.md` says what counts as missed.");
    } else if name == RISK_NOT_ACCEPTED {
        page.paragraph("muslin writes it on a ResolverProfile that an earlier release accepted. Name the risks of its message in `acceptRisk`: the next release of muslin will not use the profile without.");
    } else if name == ROLLOUT_PROMOTED || name == ROLLOUT_ROLLED_BACK {
        page.paragraph(
            "muslin writes it on the ResolverProfile when its rollout ends. The message has the evidence, as has `kubectl describe \
             resolverprofile`. Running pods stay as they are. After a roll back, each change of the spec begins a new rollout; \
             `docs/policy.md` has more.",
        );
    } else if name == SEARCH_DOMAIN_BROKEN || name == SEARCH_DOMAIN_HEALTHY {
        page.paragraph(
            "muslin writes it on the DNSObservation of the node. `kubectl get dnsobservations` has the domains and their answers, and \
             `muslin explain broken-search-domain` says what they do to lookups.",
        );
    } else if name == DNS_FAULT || name == DNS_FAULT_ENDED {
        page.paragraph(
            "`muslin probe --watch` writes it on its own pod and on CoreDNS's Deployment. `muslin explain` and the name of the verdict say \
             what to do.",
        );
    } else {
        page.paragraph("The type `Warning` means that the pod needs a change, which the message names. `Normal` means that muslin fixed it.");
    }
    if !rules.is_empty() {
        page.heading("Rules that report with it");
        page.items(rules);
    }
    page.heading("All of a cluster");
    page.paragraph(format_args!("`kubectl get events -A --field-selector reason={name}`"));
    page
}
