//! Checks a given certificate chain as an API server does: times, signatures, and the CA, where it is known. Must not know how the
//! chain is served.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The reason why no API server can trust a chain.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChainError {
    #[error("a certificate of the chain cannot be read")]
    Unreadable,
    #[error("the certificate of {subject} in the chain is not valid now: its time is {from} to {until}")]
    NotValidNow { subject: String, from: String, until: String },
    #[error("the chain does not lead to the CA: {0}")]
    Untrusted(rustls::Error),
}

/// Checks a chain in PEM at this time. Without the CA, all certificates of the chain must be valid, and each must be signed by the next.
///
/// # Errors
/// An API server that trusts the CA would reject the chain.
pub(super) fn check(chain: &[u8], authority: Option<&[u8]>, now: SystemTime) -> Result<(), ChainError> {
    let chain = certificates(chain)?;
    let (leaf, others) = chain.split_first().ok_or(ChainError::Unreadable)?;
    let (anchors, intermediates) = match (authority, others.split_last()) {
        (Some(authority), _) => (certificates(authority)?, others),
        (None, Some((last, intermediates))) => (vec![last.clone()], intermediates),
        // Nothing is known of the CA.
        (None, None) => return check_time(leaf, now),
    };
    if authority.is_none() {
        chain.iter().try_for_each(|certificate| check_time(certificate, now))?;
    }
    check_time(leaf, now)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(anchors);
    let time = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO));
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let leaf = ParsedCertificate::try_from(leaf).map_err(ChainError::Untrusted)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, intermediates, time, algorithms.all)
        .map_err(ChainError::Untrusted)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ChainError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ChainError::Unreadable)
}

fn check_time(certificate: &CertificateDer<'_>, now: SystemTime) -> Result<(), ChainError> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| ChainError::Unreadable)?;
    let validity = parsed.validity();
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    if (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now) {
        return Ok(());
    }
    let [from, until] = [validity.not_before, validity.not_after].map(|time| time.to_string());
    Err(ChainError::NotValidNow { subject: parsed.subject().to_string(), from, until })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use time::{Duration as Days, OffsetDateTime};

    use super::*;

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn params(name: &str, days: i64) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = OffsetDateTime::now_utc() - Days::days(10);
        params.not_after = OffsetDateTime::now_utc() + Days::days(days);
        params
    }

    fn authority_params(name: &str, days: i64) -> CertificateParams {
        let mut params = params(name, days);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn root() -> Authority {
        CertifiedIssuer::self_signed(authority_params("root", 10), KeyPair::generate().unwrap()).unwrap()
    }

    fn intermediate(root: &Authority, days: i64) -> Authority {
        CertifiedIssuer::signed_by(authority_params("intermediate", days), KeyPair::generate().unwrap(), root).unwrap()
    }

    /// Returns a serving certificate of this issuer, as PEM.
    fn leaf(issuer: &Authority, days: i64) -> String {
        params("muslin.muslin.svc", days).signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().pem()
    }

    fn check_now(chain: &str, authority: Option<&str>) -> Result<(), String> {
        check(chain.as_bytes(), authority.map(str::as_bytes), SystemTime::now()).map_err(|error| error.to_string())
    }

    #[test]
    fn accepts_what_an_api_server_accepts() {
        let root = root();
        let between = intermediate(&root, 10);
        let chain = leaf(&between, 10) + &between.pem();
        assert_eq!(check_now(&chain, Some(&root.pem())), Ok(()));
        assert_eq!(check_now(&chain, None), Ok(()));
        assert_eq!(check_now(&leaf(&root, 10), Some(&root.pem())), Ok(()));
        assert_eq!(check_now(&leaf(&root, 10), None), Ok(()), "nothing is known of the CA");
    }

    #[test]
    fn rejects_an_expired_intermediate_or_leaf() {
        let root = root();
        let (between, expired) = (intermediate(&root, 10), intermediate(&root, -1));
        for chain in [leaf(&expired, 10) + &expired.pem(), leaf(&between, -1) + &between.pem()] {
            for authority in [None, Some(root.pem())] {
                assert!(check_now(&chain, authority.as_deref()).is_err());
            }
        }
        let error = check_now(&(leaf(&expired, 10) + &expired.pem()), None).unwrap_err();
        assert!(error.contains("CN=intermediate in the chain is not valid now"), "{error}");
    }

    #[test]
    fn rejects_a_wrong_ca_and_a_wrong_intermediate() {
        let (one, other) = (root(), root());
        assert!(check_now(&leaf(&one, 10), Some(&other.pem())).is_err());
        let (between, unrelated) = (intermediate(&one, 10), intermediate(&other, 10));
        assert!(check_now(&(leaf(&between, 10) + &unrelated.pem()), None).is_err());
        assert!(check_now(&leaf(&between, 10), Some(&one.pem())).is_err(), "the intermediate is missing");
    }
}
