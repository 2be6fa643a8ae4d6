//! ClientSettings for contacting registries. Must not know how a request is sent.

use hyper::Uri;
use rustls::pki_types::CertificateDer;

use super::address::Network;
use super::credentials::Credentials;
use super::url::authority;

/// ClientSettings for contacting registries.
#[derive(Clone, Debug, Default)]
pub struct ClientSettings {
    /// Mirrors to ask before the registry itself.
    pub mirrors: Vec<Mirror>,
    /// Registries, `host` or `host:port`, that speak plain HTTP.
    pub plain_http: Vec<String>,
    /// Networks that may be contacted although they are not public.
    pub allowed: Vec<Network>,
    /// Certificates of authorities to trust in addition to the system's.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Pairs of a registry and a token server on another domain that may receive the registry's credentials.
    pub token_hosts: Vec<(String, String)>,
    /// muslin's credentials at registries.
    pub credentials: Credentials,
}

/// Another place for the images under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The prefix, such as `docker.io` or `docker.io/library`.
    pub prefix: String,
    /// Endpoints such as `mirror.example.com/hub`, in the order in which they are tried.
    pub endpoints: Vec<String>,
}

// === impl ClientSettings ===

impl ClientSettings {
    /// Returns whether a URL may be contacted: HTTPS, or plain HTTP where the settings allow it, and no user name in it.
    pub(super) fn allows_url(&self, uri: &Uri) -> bool {
        let plain = || self.plain_http.contains(&authority(uri));
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        !has_user && (uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && plain()))
    }

    /// Returns whether a token server may receive a registry's credentials: the registry itself, a host under the same domain
    /// (`auth.docker.io` for `registry-1.docker.io`, `gitlab.com` for `registry.gitlab.com`), or one named in the settings.
    pub(super) fn trusts_token_host(&self, registry: &str, server: &str) -> bool {
        let name =
            |authority: &str| authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
        let (registry_name, server_name) = (name(registry), name(server));
        let named = self.token_hosts.iter().any(|(of, host)| of == registry && host == server);
        let parent = registry_name.split_once('.').map(|(_, parent)| parent).filter(|parent| parent.contains('.'));
        let is_address = registry_name.parse::<std::net::IpAddr>().is_ok() || registry.starts_with('[');
        let related = parent.filter(|_| !is_address).is_some_and(|parent| {
            server_name == parent || server_name.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
        });
        named || registry == server || related
    }
}
