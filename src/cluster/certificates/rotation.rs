//! Decides the next step of the certificates' rotation from the stored state, the CAs in the webhook configurations, and the time.
//! Each step is one write, and leaves a state that is safe for any length of time: the next leader decides anew from what is stored.
//! Pure; must not know where anything is stored.
//!
//! A CA is replaced in overlapping steps, so that each API server trusts each replica's certificate at any time:
//!
//! | step | issuer of the serving certificate | trusted CAs |
//! |---|---|---|
//! | `Idle` | old | old |
//! | `CreateNext`, `Publish`: a new CA is made and published beside the old one | old | old, new |
//! | `ConfirmPublished`, then the overlap: every API server has seen the new CA | old | old, new |
//! | `ActivateNext`: the new CA issues, and the replicas follow | new | old, new |
//! | the overlap again: every replica has the new certificate; `DropRetired`, `Publish` | new | new |

use jiff::Timestamp;

use super::certificate::{Certificate, Pair};
use super::issue::{CertificateSpec, IssueError};

/// The stored state. Unreadable parts count as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Counts the writes. Webhook configurations carry the revision of the state they were made from, so that an older state is
    /// recognised.
    pub(super) revision: u64,
    /// The issuing CA.
    pub(super) authority: Option<Pair>,
    /// The CA that will issue next.
    pub(super) next: Option<Pair>,
    /// The time since which the next CA is known to be published.
    pub(super) published: Option<Timestamp>,
    /// The serving certificate.
    pub(super) leaf: Option<Pair>,
    /// CAs that issue no more. Some replica may still serve a certificate of theirs.
    pub(super) retired: Vec<Certificate>,
    /// The time at which the issuing CA was activated.
    pub(super) activated_at: Option<Timestamp>,
    /// A rotation that a person requested.
    pub(super) request: Option<RotationRequest>,
}

/// A rotation before it is due, requested by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RotationRequest {
    /// A new serving certificate.
    Certificate,
    /// A new CA, and so a new serving certificate.
    Authority,
}

/// The CAs in the webhook configurations, from which API servers learn whom to trust, compared with a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Publication {
    /// At least one configuration exists.
    pub(super) is_anywhere: bool,
    /// All configurations trust exactly the CAs of the state.
    pub(super) is_right: bool,
    /// The newest revision that was written into any configuration.
    pub(super) revision: u64,
    /// All CAs in any configuration.
    pub(super) trusted: Vec<Certificate>,
}

/// A step of the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make a CA, which does not issue yet.
    CreateNext,
    /// Record that the published CAs differ from the stored ones: the overlap starts anew, and decisions from an older state fail.
    ResetPublished,
    /// Write the trusted CAs into the configurations.
    Publish,
    /// Record that the next CA is published.
    ConfirmPublished,
    /// Let the next CA issue.
    ActivateNext,
    /// Make a serving certificate.
    RenewLeaf,
    /// Trust the retired CAs no more.
    DropRetired,
    /// Do nothing for now.
    Idle,
}

/// Limit of unknown CAs that are adopted from configurations, which may hold a whole trust store.
const ADOPTED_MAX: usize = 8;

// === impl State ===

impl State {
    /// Returns the CAs that API servers must trust.
    pub(super) fn trusted(&self) -> Vec<&Certificate> {
        let pairs = self.authority.iter().chain(&self.next).map(|pair| &pair.certificate);
        pairs.chain(&self.retired).collect()
    }

    /// Returns the CA of a valid serving certificate, among those of the state and those that API servers trust.
    pub(super) fn issuer<'s>(
        &'s self,
        leaf: &Pair,
        publication: &'s Publication,
        now: Timestamp,
    ) -> Option<&'s Certificate> {
        let known = self.trusted().into_iter().chain(&publication.trusted);
        let mut issuers = known.filter(|authority| authority.is_valid(now) && leaf.certificate.is_issued_by(authority));
        issuers.next().filter(|_| leaf.certificate.is_valid(now))
    }

    /// Returns the next step.
    pub(super) fn next_step(&self, publication: &Publication, spec: &CertificateSpec, now: Timestamp) -> Step {
        let leaf = self.leaf.as_ref().filter(|leaf| self.issuer(leaf, publication, now).is_some());
        let authority = self.authority.as_ref().filter(|authority| authority.certificate.is_valid(now));
        let has_passed = |since: Timestamp| now.duration_since(since) >= spec.overlap;

        let is_next_due = match &self.next {
            Some(next) => !next.certificate.is_valid(now),
            None => {
                self.request == Some(RotationRequest::Authority)
                    || authority.is_none_or(|authority| authority.certificate.is_due(now))
            }
        };
        if is_next_due {
            return Step::CreateNext;
        }
        if !publication.is_anywhere {
            return Step::Idle;
        }
        if !publication.is_right {
            let is_behind = self.revision < publication.revision;
            return if self.published.is_some() || is_behind { Step::ResetPublished } else { Step::Publish };
        }
        if self.next.is_some() {
            match self.published {
                // A clock that was set back must not prolong the overlap.
                None => return Step::ConfirmPublished,
                Some(since) if since > now => return Step::ConfirmPublished,
                // Without a valid certificate there is nothing to keep working.
                Some(since) if leaf.is_none() || has_passed(since) => return Step::ActivateNext,
                Some(_) => {}
            }
        }
        let Some(authority) = authority else { return Step::Idle };
        let is_good = |leaf: &Pair| {
            let certificate = &leaf.certificate;
            // A certificate cannot outlast its CA.
            let may_last_longer = certificate.until() < authority.certificate.until();
            certificate.is_issued_by(&authority.certificate)
                && certificate.is_for(&spec.names)
                && !(certificate.is_due(now) && may_last_longer)
        };
        if self.request == Some(RotationRequest::Certificate) || !leaf.is_some_and(is_good) {
            return Step::RenewLeaf;
        }
        // While a new CA is under way, its predecessors stay.
        let may_drop = self.next.is_none() && self.activated_at.is_none_or(has_passed);
        if !self.retired.is_empty() && may_drop {
            return Step::DropRetired;
        }
        Step::Idle
    }

    /// Returns the state to store for a step. `Publish` and `Idle` store nothing.
    pub(super) fn after(
        &self,
        step: Step,
        publication: &Publication,
        spec: &CertificateSpec,
        now: Timestamp,
    ) -> Result<Self, IssueError> {
        let mut after = self.clone();
        // Any number can stand in a configuration.
        after.revision = self.revision.max(publication.revision).saturating_add(1);
        match step {
            Step::CreateNext => {
                if self.authority.is_none() {
                    // A replica may serve a certificate of a CA that is published but not stored: the CA came from elsewhere,
                    // or its Secret was lost.
                    for certificate in &publication.trusted {
                        if after.retired.len() < ADOPTED_MAX && !after.trusted().contains(&certificate) {
                            after.retired.push(certificate.clone());
                        }
                    }
                }
                after.next = Some(spec.new_authority(now)?);
                after.published = None;
                after.request = self.request.filter(|request| *request != RotationRequest::Authority);
            }
            Step::ResetPublished => after.published = None,
            Step::ConfirmPublished => after.published = Some(now),
            Step::ActivateNext => {
                let Some(next) = after.next.take() else { return Ok(after) };
                after.leaf = Some(spec.new_leaf(&next, now)?);
                after.retired.extend(after.authority.replace(next).map(|before| before.certificate));
                after.activated_at = Some(now);
                after.published = None;
                after.request = None;
            }
            Step::RenewLeaf => {
                let Some(authority) = &self.authority else { return Ok(after) };
                after.leaf = Some(spec.new_leaf(authority, now)?);
                after.request = self.request.filter(|request| *request != RotationRequest::Certificate);
            }
            Step::DropRetired => after.retired.clear(),
            Step::Publish | Step::Idle => return Ok(self.clone()),
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests;
