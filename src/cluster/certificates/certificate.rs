//! The parts of a certificate that its rotation needs, and a certificate with its key. Must not know who issues, stores or serves
//! them.

use std::fmt;

use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate; equal to another if the bytes are.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    pub(super) pem: String,
    der: Vec<u8>,
    from: Timestamp,
    until: Timestamp,
    names: Vec<String>,
    /// The certificate may sign others.
    is_authority: bool,
    /// The public key (a SubjectPublicKeyInfo).
    public_key: Vec<u8>,
    /// The identifier of its own key.
    subject_key: Option<Vec<u8>>,
    /// The identifier of the key that signed it.
    authority_key: Option<Vec<u8>>,
}

/// A certificate and its private key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: Certificate,
    /// As PEM.
    pub(super) key: String,
}

// === impl Certificate ===

impl Certificate {
    /// Parses the certificates in a PEM text, and skips unreadable ones.
    pub(super) fn parse_all(pem: &[u8]) -> Vec<Self> {
        CertificateDer::pem_slice_iter(pem).filter_map(|der| Self::from_der(&der.ok()?)).collect()
    }

    fn from_der(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let time = |at: i64| Timestamp::from_second(at).ok();
        let (mut subject_key, mut authority_key, mut names) = (None, None, Vec::new());
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => subject_key = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    authority_key = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                ParsedExtension::SubjectAlternativeName(alternatives) => {
                    names.extend(alternatives.general_names.iter().filter_map(alternative_name));
                }
                _ => {}
            }
        }
        Some(Self {
            pem: to_pem(der),
            from: time(parsed.validity().not_before.timestamp())?,
            until: time(parsed.validity().not_after.timestamp())?,
            names,
            is_authority: parsed.is_ca(),
            public_key: parsed.public_key().raw.to_vec(),
            subject_key,
            authority_key,
            der: der.to_vec(),
        })
    }

    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// Returns whether two thirds of the lifetime are over. The rest is reserve for failing renewals.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let lifetime = self.until.duration_since(self.from);
        now >= self.until - lifetime / 3
    }

    pub(super) const fn from(&self) -> Timestamp {
        self.from
    }

    /// The names and addresses that the certificate is for.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) const fn until(&self) -> Timestamp {
        self.until
    }

    /// Returns whether the certificate is for exactly these names, in any order.
    pub(super) fn is_for(&self, names: &[String]) -> bool {
        self.names.len() == names.len() && names.iter().all(|name| self.names.contains(name))
    }

    /// Returns whether that CA signed the certificate. Names and identifiers of keys can be copied, so the signature decides.
    pub(super) fn is_issued_by(&self, authority: &Self) -> bool {
        let names_the_key = self.authority_key.is_some() && self.authority_key == authority.subject_key;
        names_the_key && authority.is_authority && self.is_signed_by(authority)
    }

    /// Returns whether that certificate's key signed this one. Identifiers of keys are optional in certificates of others.
    pub(super) fn is_signed_by(&self, authority: &Self) -> bool {
        let is_signed = || {
            let (_, own) = X509Certificate::from_der(&self.der).ok()?;
            let (_, authority) = X509Certificate::from_der(&authority.der).ok()?;
            own.verify_signature(Some(authority.public_key())).ok()
        };
        is_signed().is_some()
    }

    /// Returns whether the certificate may sign others.
    pub(super) const fn is_authority(&self) -> bool {
        self.is_authority
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Encodes a certificate as PEM with lines of 64 characters, which all readers accept.
fn to_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

// === impl Pair ===

impl Pair {
    /// Parses two PEM texts, of which the first begins with the certificate; `None` if either is unreadable, or the key is another one's.
    pub(super) fn parse(certificate: &[u8], key: &[u8]) -> Option<Self> {
        let certificate = Certificate::parse_all(certificate).into_iter().next()?;
        let key = String::from_utf8(key.to_vec()).ok()?;
        let fits = KeyPair::from_pem(&key).ok()?.subject_public_key_info() == certificate.public_key;
        fits.then_some(Self { certificate, key })
    }
}

impl fmt::Debug for Pair {
    /// Omits the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
