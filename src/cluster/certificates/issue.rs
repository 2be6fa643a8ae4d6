//! Makes CAs and serving certificates: what is in them, and for how long. Must not know when one is due or where it is kept.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::certificate::{Certificate, Pair};

/// For whom certificates are made, and for how long.
#[derive(Clone, Debug)]
pub struct CertificateSpec {
    /// The names and addresses that the server is reached by, of which the first is its common name.
    pub names: Vec<String>,
    /// How long a serving certificate is valid.
    pub leaf: SignedDuration,
    /// How long a CA is valid.
    pub authority: SignedDuration,
    /// How long to wait until every API server, and every replica, has heard of a change.
    pub overlap: SignedDuration,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The library refuses.
    #[error("cannot make a certificate: {0}")]
    Refused(#[from] rcgen::Error),
    /// It would not be understood.
    #[error("made a certificate that cannot be read back")]
    Unreadable,
    /// The time is none that a certificate can name.
    #[error("the time is out of range: {0}")]
    Time(#[from] time::error::ComponentRange),
}

/// A CA, a serving certificate that it issued, and that one's key, as PEM: for a server that keeps none of them.
#[derive(Debug)]
pub struct Issued {
    /// The CA's certificate.
    pub authority: String,
    /// The serving certificate.
    pub certificate: String,
    /// The serving certificate's key.
    pub key: String,
}

/// Clocks differ: a certificate that begins to be valid now is not valid yet for some.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

// === impl CertificateSpec ===

impl CertificateSpec {
    /// What a webhook in a cluster needs: the name by which an API server asks for its Service, and the one for everybody else.
    pub fn for_service(service: &str, namespace: &str, cluster_domain: &str) -> Self {
        let name = format!("{service}.{namespace}.svc");
        let long = format!("{name}.{cluster_domain}");
        Self::new(vec![name, long])
    }

    /// A month for certificates, a year for CAs, and five minutes for everybody to hear of a change.
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names,
            leaf: SignedDuration::from_hours(30 * 24),
            authority: SignedDuration::from_hours(365 * 24),
            overlap: SignedDuration::from_mins(5),
        }
    }

    /// A CA that is forgotten at once, and what it issued.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn issue(&self) -> Result<Issued, IssueError> {
        let now = Timestamp::now();
        let authority = self.new_authority(now)?;
        let Pair { certificate, key } = self.new_leaf(&authority, now)?;
        Ok(Issued { authority: authority.certificate.pem, certificate: certificate.pem, key })
    }

    /// A CA. Its key is made here and now: on P-256 that takes less than what a review does.
    pub(super) fn new_authority(&self, now: Timestamp) -> Result<Pair, IssueError> {
        let mut params = params(now, now.saturating_add(self.authority).unwrap_or(Timestamp::MAX))?;
        // Unlike that of any other CA of muslin's, so that nobody takes one for another by its name.
        params.distinguished_name.push(DnType::CommonName, format!("muslin CA {now:.0}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        made(&params.self_signed(&key)?, &key)
    }

    /// A serving certificate, which ends no later than its CA.
    pub(super) fn new_leaf(&self, authority: &Pair, now: Timestamp) -> Result<Pair, IssueError> {
        let until = now.saturating_add(self.leaf).unwrap_or(Timestamp::MAX).min(authority.certificate.until());
        let mut params = params(now, until)?;
        let Self { names, .. } = self;
        params.subject_alt_names = CertificateParams::new(names.clone())?.subject_alt_names;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::from_ca_cert_pem(&authority.certificate.pem, KeyPair::from_pem(&authority.key)?)?;
        let key = KeyPair::generate()?;
        made(&params.signed_by(&key, &issuer)?, &key)
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

fn made(certificate: &rcgen::Certificate, key: &KeyPair) -> Result<Pair, IssueError> {
    let certificate = Certificate::all(certificate.pem().as_bytes()).pop().ok_or(IssueError::Unreadable)?;
    Ok(Pair { certificate, key: key.serialize_pem() })
}
