//! Makes CAs and serving certificates: their contents and lifetimes. Must not know when one is due or where it is stored.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::certificate::{Certificate, Pair};

/// The names and lifetimes of certificates.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// The names and addresses of the server; the first is the common name.
    pub names: Vec<String>,
    /// Lifetime of a serving certificate.
    pub leaf: SignedDuration,
    /// Lifetime of a CA.
    pub authority: SignedDuration,
    /// Time until every API server and every replica has learned of a change.
    pub overlap: SignedDuration,
}

/// The reason why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The library failed.
    #[error("cannot make a certificate: {0}")]
    Library(#[from] rcgen::Error),
    /// The new certificate cannot be parsed.
    #[error("made a certificate that cannot be read back")]
    Unreadable,
    /// A certificate cannot express the time.
    #[error("the time is out of range: {0}")]
    Time(#[from] time::error::ComponentRange),
}

/// A CA, a serving certificate that it issued, and the certificate's key, all as PEM: for a server that stores none of them.
#[derive(Debug)]
pub struct Issued {
    /// The CA's certificate.
    pub authority: String,
    /// The serving certificate.
    pub certificate: String,
    /// The serving certificate's key.
    pub key: String,
}

/// Allowance for clocks that are behind, which would find a new certificate not valid yet.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

// === impl CertificateSpec ===

impl CertificateSpec {
    /// Returns the spec for a webhook in a cluster: the name of its Service as API servers use it, and the fully qualified one.
    pub fn for_service(service: &str, namespace: &str, cluster_domain: &str) -> Self {
        let name = format!("{service}.{namespace}.svc");
        let long = format!("{name}.{cluster_domain}");
        Self::new(vec![name, long])
    }

    /// Returns a spec with the usual times: 30 days for certificates, a year for CAs, an overlap of five minutes.
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names,
            leaf: SignedDuration::from_hours(30 * 24),
            authority: SignedDuration::from_hours(365 * 24),
            overlap: SignedDuration::from_mins(5),
        }
    }

    /// Makes a CA, and a serving certificate of it. The CA's key is dropped.
    ///
    /// # Errors
    /// The certificates cannot be made.
    pub fn issue(&self) -> Result<Issued, IssueError> {
        let now = Timestamp::now();
        let authority = self.new_authority(now)?;
        let Pair { certificate, key } = self.new_leaf(&authority, now)?;
        Ok(Issued { authority: authority.certificate.pem, certificate: certificate.pem, key })
    }

    /// Makes a CA. Generating its key blocks, but on P-256 takes less time than a review.
    pub(super) fn new_authority(&self, now: Timestamp) -> Result<Pair, IssueError> {
        let mut params = params(now, now.saturating_add(self.authority).unwrap_or(Timestamp::MAX))?;
        // A name of its own, so that one CA of muslin's is not mistaken for another.
        params.distinguished_name.push(DnType::CommonName, format!("muslin CA {now:.0}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        pair_of(&params.self_signed(&key)?, &key)
    }

    /// Makes a serving certificate, which ends no later than its CA.
    pub(super) fn new_leaf(&self, authority: &Pair, now: Timestamp) -> Result<Pair, IssueError> {
        let until = now.saturating_add(self.leaf).unwrap_or(Timestamp::MAX).min(authority.certificate.until());
        let mut params = params(now, until)?;
        params.subject_alt_names = CertificateParams::new(self.names.clone())?.subject_alt_names;
        if let Some(name) = self.names.first() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::from_ca_cert_pem(&authority.certificate.pem, KeyPair::from_pem(&authority.key)?)?;
        let key = KeyPair::generate()?;
        pair_of(&params.signed_by(&key, &issuer)?, &key)
    }
}

fn params(now: Timestamp, until: Timestamp) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let from = now.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN);
    params.not_before = OffsetDateTime::from_unix_timestamp(from.as_second())?;
    params.not_after = OffsetDateTime::from_unix_timestamp(until.as_second())?;
    Ok(params)
}

fn pair_of(certificate: &rcgen::Certificate, key: &KeyPair) -> Result<Pair, IssueError> {
    let certificate = Certificate::parse_all(certificate.pem().as_bytes()).pop().ok_or(IssueError::Unreadable)?;
    Ok(Pair { certificate, key: key.serialize_pem() })
}
