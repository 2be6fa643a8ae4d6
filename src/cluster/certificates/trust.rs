//! The trust of a webhook's `caBundle` in a serving certificate, as TLS decides it. Must not know where either comes from.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::certificate::Certificate;
use crate::doctor::{CertificateFacts, Trust};

/// The most certificates from a leaf to its CA.
const DEPTH_MAX: usize = 8;

/// Returns the validity and the names of a PEM text's first certificate.
pub(in crate::cluster) fn certificate_facts(chain: &[u8]) -> Option<CertificateFacts> {
    let leaf = Certificate::parse_all(chain).into_iter().next()?;
    Some(CertificateFacts { from: leaf.from(), until: leaf.until(), names: leaf.names().to_vec() })
}

/// Returns the trust of a `caBundle`, in base64, in a certificate with its chain, as PEM.
pub(in crate::cluster) fn trust_in(bundle: &str, chain: &[u8], now: Timestamp) -> Trust {
    if bundle.is_empty() {
        return Trust::Empty;
    }
    let bundle = Certificate::parse_all(&BASE64_STANDARD.decode(bundle).unwrap_or_default());
    if bundle.is_empty() {
        return Trust::Unreadable;
    }
    let chain = Certificate::parse_all(chain);
    let Some(mut certificate) = chain.first() else { return Trust::Unknown };
    let mut is_expired = false;
    for _ in 0..DEPTH_MAX {
        // A certificate in the bundle is trusted itself.
        let issuers = || bundle.iter().filter(|trusted| *trusted == certificate || certificate.is_signed_by(trusted));
        if issuers().any(|issuer| issuer.is_valid(now) || issuer == &chain[0]) {
            return Trust::Trusted;
        }
        is_expired |= issuers().next().is_some();
        match chain.iter().find(|issuer| *issuer != certificate && certificate.is_signed_by(issuer)) {
            Some(issuer) => certificate = issuer,
            None => break,
        }
    }
    if is_expired { Trust::Expired } else { Trust::Foreign }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::cluster::certificates::issue::{CertificateSpec, Issued};

    fn issued() -> Issued {
        CertificateSpec::for_service("muslin", "muslin", "cluster.local").issue().unwrap()
    }

    #[test]
    fn a_bundle_trusts_what_its_valid_cas_issued() {
        let (own, other) = (issued(), issued());
        let now = Timestamp::now();
        let trust = |bundle: &str, chain: &str, now| trust_in(&BASE64_STANDARD.encode(bundle), chain.as_bytes(), now);
        let both = format!("{}{}", other.authority, own.authority);
        assert_eq!(trust(&own.authority, &own.certificate, now), Trust::Trusted);
        assert_eq!(trust(&both, &own.certificate, now), Trust::Trusted, "during a rotation");
        assert_eq!(trust(&own.certificate, &own.certificate, now), Trust::Trusted, "the certificate itself");
        assert_eq!(trust(&other.authority, &own.certificate, now), Trust::Foreign);
        assert_eq!(trust("no certificate", &own.certificate, now), Trust::Unreadable);
        assert_eq!(trust_in("", own.certificate.as_bytes(), now), Trust::Empty);
        assert_eq!(trust(&own.authority, "", now), Trust::Unknown);
        let later = now + SignedDuration::from_hours(24 * 365 * 100);
        assert_eq!(trust(&own.authority, &own.certificate, later), Trust::Expired);
    }

    #[test]
    fn reads_the_validity_and_the_names() {
        let facts = certificate_facts(issued().certificate.as_bytes()).unwrap();
        assert!(facts.from < Timestamp::now() && Timestamp::now() < facts.until);
        assert!(facts.names.iter().any(|name| name == "muslin.muslin.svc"), "{:?}", facts.names);
        assert_eq!(certificate_facts(b"no certificate"), None);
    }
}
