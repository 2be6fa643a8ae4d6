//! What is to be done next about muslin's certificates, decided from what is stored, what the API servers are told to trust, and the
//! time. Each step is one write, and what it leaves behind is safe to stay in for ever: whoever goes on, after whatever pause, decides
//! anew from what is there. Pure; must not know where anything is stored.
//!
//! A CA is changed in overlapping steps, so that at any time each replica's certificate is trusted by each API server:
//!
//! | step | serving certificate by | trusted |
//! |---|---|---|
//! | at rest | old | old |
//! | `Announce`, `Publish`: a new CA is made and put beside the old one | old | old, new |
//! | `See`, and the overlap's time passes: every API server has heard of it | old | old, new |
//! | `TakeOver`: the new CA issues, and the replicas follow | new | old, new |
//! | the overlap's time passes: every replica has heard of it; `Drop`, `Publish` | new | new |

use jiff::Timestamp;

use super::certificate::{Certificate, Pair};
use super::issue::{CertificateSpec, IssueError};

/// What is stored. What cannot be read counts as not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Counts the writes. What is derived from a state bears its revision, so that whoever still has an older one can tell.
    pub(super) revision: u64,
    /// The CA that issues.
    pub(super) authority: Option<Pair>,
    /// The CA that will.
    pub(super) next: Option<Pair>,
    /// Since when the next one is known to be published.
    pub(super) published: Option<Timestamp>,
    /// The serving certificate.
    pub(super) leaf: Option<Pair>,
    /// CAs that issue no more, by which some replica may still have its certificate.
    pub(super) retired: Vec<Certificate>,
    /// When the CA that issues took over.
    pub(super) took_over: Option<Timestamp>,
    /// What a person asked for.
    pub(super) wish: Option<Wish>,
}

/// What a person can ask for before it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A new serving certificate.
    Certificate,
    /// A new CA, and so a new serving certificate.
    Authority,
}

/// What the webhook configurations, from which API servers learn whom to trust, have of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publication {
    /// Whether there is any configuration.
    pub(super) is_anywhere: bool,
    /// Whether all of them trust what is to be trusted, and nothing else.
    pub(super) is_right: bool,
    /// The revision of the newest state that was written into any of them.
    pub(super) revision: u64,
    /// All that any of them trusts.
    pub(super) trusted: Vec<Certificate>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make a CA, which does not issue yet.
    Announce,
    /// Note that what is published is not what is stored: whoever waited has to wait anew, and whoever decided by an older state is
    /// overtaken.
    Recall,
    /// Write into the configurations whom to trust.
    Publish,
    /// Note that the next CA is published.
    See,
    /// Let the next CA issue.
    TakeOver,
    /// Make a serving certificate.
    Renew,
    /// Trust the retired CAs no more.
    Drop,
    /// Nothing, for now.
    Rest,
}

/// How many unknown CAs are taken over from configurations, which may hold a system's whole store.
const ADOPTED_MAX: usize = 8;

// === impl State ===

impl State {
    /// Whom API servers are to trust.
    pub(super) fn trusted(&self) -> Vec<&Certificate> {
        let pairs = self.authority.iter().chain(&self.next).map(|pair| &pair.certificate);
        pairs.chain(&self.retired).collect()
    }

    /// What is to be done next.
    pub(super) fn next_step(&self, publication: &Publication, terms: &CertificateSpec, now: Timestamp) -> Step {
        let leaf = self.leaf.as_ref().filter(|leaf| leaf.certificate.is_valid(now));
        let authority = self.authority.as_ref().filter(|authority| authority.certificate.is_valid(now));
        let has_passed = |since: Timestamp| now.duration_since(since) >= terms.overlap;

        let is_wanted = match &self.next {
            Some(next) => !next.certificate.is_valid(now),
            None => {
                self.wish == Some(Wish::Authority)
                    || authority.is_none_or(|authority| authority.certificate.is_due(now))
            }
        };
        if is_wanted {
            return Step::Announce;
        }
        if !publication.is_anywhere {
            return Step::Rest;
        }
        if !publication.is_right {
            let is_behind = self.revision < publication.revision;
            return if self.published.is_some() || is_behind { Step::Recall } else { Step::Publish };
        }
        if self.next.is_some() {
            match self.published {
                // A clock that was set back must not make it wait for as long.
                None => return Step::See,
                Some(since) if since > now => return Step::See,
                // Without a certificate that is valid there is nobody to wait for.
                Some(since) if leaf.is_none() || has_passed(since) => return Step::TakeOver,
                Some(_) => {}
            }
        }
        let Some(authority) = authority else { return Step::Rest };
        let is_good = |leaf: &Pair| {
            let certificate = &leaf.certificate;
            // One that ends with its CA cannot be made to last longer.
            let may_last_longer = certificate.until() < authority.certificate.until();
            certificate.is_issued_by(&authority.certificate)
                && certificate.is_for(&terms.names)
                && !(certificate.is_due(now) && may_last_longer)
        };
        if self.wish == Some(Wish::Certificate) || !leaf.is_some_and(is_good) {
            return Step::Renew;
        }
        // While another CA is on its way, its predecessors stay.
        let may_drop = self.next.is_none() && self.took_over.is_none_or(has_passed);
        if !self.retired.is_empty() && may_drop {
            return Step::Drop;
        }
        Step::Rest
    }

    /// What is to be stored after a step. `Publish` and `Rest` store nothing.
    pub(super) fn after(
        &self,
        step: Step,
        publication: &Publication,
        terms: &CertificateSpec,
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let mut after = self.clone();
        after.revision = self.revision.max(publication.revision) + 1;
        match step {
            Step::Announce => {
                if self.authority.is_none() {
                    // Of a CA that is published and not stored somebody may still have a certificate: of one that was brought
                    // along, or whose Secret was lost.
                    for certificate in &publication.trusted {
                        if after.retired.len() < ADOPTED_MAX && !after.trusted().contains(&certificate) {
                            after.retired.push(certificate.clone());
                        }
                    }
                }
                after.next = Some(terms.new_authority(now)?);
                after.published = None;
                after.wish = self.wish.filter(|wish| *wish != Wish::Authority);
            }
            Step::Recall => after.published = None,
            Step::See => after.published = Some(now),
            Step::TakeOver => {
                let Some(next) = after.next.take() else { return Ok(after) };
                after.leaf = Some(terms.new_leaf(&next, now)?);
                after.retired.extend(after.authority.replace(next).map(|before| before.certificate));
                after.took_over = Some(now);
                after.published = None;
                after.wish = None;
            }
            Step::Renew => {
                let Some(authority) = &self.authority else { return Ok(after) };
                after.leaf = Some(terms.new_leaf(authority, now)?);
                after.wish = self.wish.filter(|wish| *wish != Wish::Certificate);
            }
            Step::Drop => after.retired.clear(),
            Step::Publish | Step::Rest => return Ok(self.clone()),
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests;
