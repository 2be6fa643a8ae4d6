//! The serving key: rustls asks for it at each handshake, and it is replaced while connections continue.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::chain;
use crate::cluster::{KeyHealth, ServingKey};

/// The interval between reads of the files. A mounted Secret changes by a swap of symbolic links, which an inotify watch on the file
/// does not see; so the content is compared.
const REREAD_EVERY: Duration = Duration::from_secs(5);

/// The current serving key. Handshakes fail until there is one.
#[derive(Debug, Default)]
pub struct Keys(ArcSwapOption<CertifiedKey>);

/// The reason why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The text has no valid PEM block of the needed kind.
    #[error("no usable {what} in the PEM text: {source}")]
    Pem {
        /// The kind of block.
        what: &'static str,
        /// The error.
        source: rustls::pki_types::pem::Error,
    },
    /// The text holds no certificate.
    #[error("the PEM text holds no certificate")]
    NoCertificate,
    /// The key does not belong to the certificate, or is of an unknown kind.
    #[error("the certificate and the key cannot be used together: {0}")]
    Mismatch(#[from] rustls::Error),
}

/// A certificate chain and its private key, as PEM files. A file `ca.crt` beside the chain holds the CA, as cert-manager writes it.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// The chain, the serving certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The content of the files.
#[derive(PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Option<Vec<u8>>,
}

/// The file with the CA, beside the certificate.
const AUTHORITY: &str = "ca.crt";

/// Returns the TLS settings of the server: TLS 1.2 and 1.3, and HTTP/1.1 only, because the API server uses nothing else for webhooks.
///
/// # Errors
/// The crypto provider lacks what these protocol versions need.
pub fn server_config(keys: Arc<Keys>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(keys);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

// === impl Keys ===

impl Keys {
    /// Parses a key and its certificate from PEM text.
    ///
    /// # Errors
    /// The text holds no certificate or no key, or they do not belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(ArcSwapOption::from_pointee(certified(certificate, key)?)))
    }

    /// Returns when the serving certificate expires, in seconds since 1970; `None` without a readable certificate.
    pub(crate) fn expiry_seconds(&self) -> Option<i64> {
        let certified = self.0.load();
        let leaf = certified.as_ref()?.end_entity_cert().ok()?;
        let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
        Some(certificate.validity().not_after.timestamp())
    }

    /// Returns keys that a task updates from the cluster. An unusable key is ignored.
    pub fn follow(mut keys: watch::Receiver<Option<Arc<ServingKey>>>) -> Arc<Self> {
        let followed = Arc::new(Self::default());
        let following = Arc::clone(&followed);
        tokio::spawn(async move {
            loop {
                let key = keys.borrow_and_update().clone();
                if let Some(key) = key {
                    match following.replace(key.certificate.as_bytes(), key.key.as_bytes()) {
                        Ok(()) => {
                            tracing::info!(expires = following.expiry_seconds(), "the serving certificate changed")
                        }
                        Err(error) => {
                            tracing::warn!(%error, "cannot use the new serving certificate; the old one stays")
                        }
                    }
                }
                if keys.changed().await.is_err() {
                    return;
                }
            }
        });
        followed
    }

    /// Replaces the key for new handshakes.
    fn replace(&self, certificate: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.0.store(Some(Arc::new(certified(certificate, key)?)));
        Ok(())
    }
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

fn certified(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem { what: "certificate", source })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| TlsError::Pem { what: "private key", source })?;
    Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
}

// === impl KeyFiles ===

impl KeyFiles {
    /// Reads the files, and starts a task that reads them again: when their content changes, new handshakes use it. Content that API
    /// servers cannot trust is not used in place of usable one. Also returns the problem with the files, if any, as it changes.
    ///
    /// # Errors
    /// A file cannot be read, or is no certificate or key.
    pub async fn watch(self) -> Result<(Arc<Keys>, watch::Receiver<KeyHealth>), TlsError> {
        let content = self.read().await?;
        let keys = Arc::new(Keys::default());
        match keys.replace(&content.certificate, &content.key) {
            // One of the files may be about to change, and the reason is reported.
            Ok(()) | Err(TlsError::Mismatch(_)) => {}
            Err(error) => return Err(error),
        }
        let problem = content.problem();
        let health = KeyHealth { is_usable: problem.is_none(), problem };
        health.log();
        let (sender, receiver) = watch::channel(health);
        tokio::spawn(self.follow(content, Arc::clone(&keys), sender));
        Ok((keys, receiver))
    }

    /// `used` is the content that handshakes use.
    async fn follow(self, mut used: Content, keys: Arc<Keys>, health: watch::Sender<KeyHealth>) {
        loop {
            tokio::time::sleep(REREAD_EVERY).await;
            let read = self.read().await;
            let found = read.as_ref().map_or_else(|error| Some(error.to_string()), Content::problem);
            if let Ok(content) = &read
                && (&content.certificate, &content.key) == (&used.certificate, &used.key)
            {
                used.authority.clone_from(&content.authority);
            }
            if let Ok(content) = read
                && content != used
                && (found.is_none() || used.problem().is_some())
                && keys.replace(&content.certificate, &content.key).is_ok()
            {
                tracing::info!(certificate = %self.certificate.display(), "the serving certificate changed");
                used = content;
            }
            let now = KeyHealth { is_usable: used.problem().is_none(), problem: found };
            health.send_if_modified(|before| {
                let changes = *before != now;
                if changes {
                    now.log();
                    *before = now;
                }
                changes
            });
        }
    }

    async fn read(&self) -> Result<Content, TlsError> {
        let Self { certificate, key } = self;
        let authority = tokio::fs::read(certificate.with_file_name(AUTHORITY)).await;
        // An empty one, as cert-manager writes for some issuers, says nothing.
        let authority = authority.ok().filter(|authority| !authority.is_empty());
        Ok(Content { certificate: read(certificate).await?, key: read(key).await?, authority })
    }
}

// === impl Content ===

impl Content {
    /// Returns why no API server can trust this, if so.
    fn problem(&self) -> Option<String> {
        let Self { certificate, key, authority } = self;
        if let Err(error) = certified(certificate, key) {
            return Some(error.to_string());
        }
        chain::check(certificate, authority.as_deref(), SystemTime::now()).err().map(|error| error.to_string())
    }
}

// === impl KeyHealth ===

impl KeyHealth {
    fn log(&self) {
        let Self { is_usable, problem } = self;
        if let Some(problem) = problem {
            tracing::warn!(problem, old_stays = is_usable, "API servers cannot trust the certificate in the files");
        }
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
