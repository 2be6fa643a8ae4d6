//! The certificates of a test's control plane: one authority, and the identities that it issues. Must not know who uses them.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// The certificate authority of this control plane, which both sides trust.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let making = "making the control plane's certificate authority";
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "control plane of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().context(making)?;
        Ok(Self(CertifiedIssuer::self_signed(params, key).context(making)?))
    }

    /// Returns the API server's certificate for its clients, which are all on loopback.
    pub(crate) fn issue_server_identity(&self) -> Result<Identity> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])
            .context("naming the API server's certificate")?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// Returns the certificate of an admin: the API server takes the name from CN and the groups from O.
    pub(crate) fn issue_admin_identity(&self) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "admin");
        params.distinguished_name.push(DnType::OrganizationName, "system:masters");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Identity> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().context("making a key")?;
        let certificate = params.signed_by(&key, &self.0).context("issuing a certificate")?;
        Ok(Identity { certificate, key })
    }

    /// Returns the authority's own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Returns the TLS settings of a client that trusts only this authority and presents `client`.
    pub(crate) fn client_config(&self, client: &Identity) -> Result<Arc<rustls::ClientConfig>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).context("trusting the control plane's certificate authority")?;
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(client.key.serialize_der());
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![client.certificate.der().clone()], key.into())
            .context("using the admin's certificate")?;
        Ok(Arc::new(config))
    }
}
