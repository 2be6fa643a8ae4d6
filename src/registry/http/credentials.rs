//! Credentials for registries, from a dockerconfigjson, read as the kubelet reads one: the longest matching key wins, and `*` in a
//! host stands for one label. Neither `Debug` nor an error shows a credential.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::registry::error::{Error, ErrorSubject};

/// The credential for one registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credential {
    /// A user name and a password.
    Basic { user: String, password: String },
    /// A token to exchange for others (`identitytoken`).
    Refresh(String),
    /// A token to send unchanged (`registrytoken`).
    Bearer(String),
}

/// The credentials for all registries, the longest key first.
#[derive(Clone, Default)]
pub struct Credentials(Vec<(String, Credential)>);

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

// === impl Credentials ===

impl Credentials {
    /// Reads a dockerconfigjson.
    ///
    /// # Errors
    /// The bytes are no dockerconfigjson; the message repeats nothing of them.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let DockerConfig { auths } =
            serde_json::from_slice(bytes).map_err(|error| malformed("dockerconfigjson", &error))?;
        Self::from_auths(auths)
    }

    /// Reads a dockercfg, the older form, whose top level is the map of registries.
    ///
    /// # Errors
    /// The bytes are no dockercfg; the message repeats nothing of them.
    pub fn parse_dockercfg(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_auths(serde_json::from_slice(bytes).map_err(|error| malformed("dockercfg", &error))?)
    }

    /// Returns these credentials, followed by `others` for registries that these do not cover.
    #[must_use]
    pub fn before(mut self, others: &Self) -> Self {
        self.0.extend_from_slice(&others.0);
        self
    }

    fn from_auths(auths: BTreeMap<String, Auth>) -> Result<Self, Error> {
        let mut credentials = Vec::new();
        for (key, auth) in auths {
            if let Some(credential) = auth.credential(&key)? {
                credentials.push((normalize_key(&key), credential));
            }
        }
        credentials.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        Ok(Self(credentials))
    }

    /// Returns whether there is a credential for a repository.
    pub(crate) fn cover(&self, host: &str, repository: &str) -> bool {
        self.find(host, repository).is_some()
    }

    /// Returns the credential for a repository.
    pub(super) fn find(&self, host: &str, repository: &str) -> Option<&Credential> {
        let Self(credentials) = self;
        credentials.iter().find(|(key, _)| key_matches(key, host, repository)).map(|(_, credential)| credential)
    }
}

/// Reports the position of a mistake only, because serde's message may repeat a value.
fn malformed(what: &str, error: &serde_json::Error) -> Error {
    let problem = format!("it is no {what} (line {}, column {})", error.line(), error.column());
    Error::malformed(ErrorSubject::Credentials, problem)
}

/// Returns a key without its scheme, with one name for Docker Hub.
fn normalize_key(key: &str) -> String {
    let key = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let is_hub = matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    let host = if is_hub { "registry-1.docker.io" } else { host };
    // `https://index.docker.io/v1/` is the address of the API and has no path to match.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// Returns whether a key covers a repository of a host.
fn key_matches(key: &str, host: &str, repository: &str) -> bool {
    let (key_host, key_path) = key.split_once('/').unwrap_or((key, ""));
    let labels = |host: &str| host.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (wanted, found) = (labels(key_host), labels(host));
    let same = wanted.len() == found.len() && wanted.iter().zip(&found).all(|(key, label)| key == "*" || key == label);
    let below = || repository.strip_prefix(key_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    same && (key_path.is_empty() || below())
}

impl Auth {
    fn credential(self, key: &str) -> Result<Option<Credential>, Error> {
        let Self { auth, username, password, identitytoken, registrytoken } = self;
        if !registrytoken.is_empty() {
            return Ok(Some(Credential::Bearer(registrytoken)));
        }
        if !identitytoken.is_empty() {
            return Ok(Some(Credential::Refresh(identitytoken)));
        }
        if !username.is_empty() {
            return Ok(Some(Credential::Basic { user: username, password }));
        }
        if auth.is_empty() {
            return Ok(None);
        }
        let decoded = STANDARD.decode(auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((user, password)) => {
                let password = password.trim_end_matches('\0').to_owned();
                Ok(Some(Credential::Basic { user: user.to_owned(), password }))
            }
            None => {
                let problem = format!("`auth` of `{key}` is not the base64 of NAME:PASSWORD");
                Err(Error::malformed(ErrorSubject::Credentials, problem))
            }
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::Refresh(_) => "Refresh(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}
