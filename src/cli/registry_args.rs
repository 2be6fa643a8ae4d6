//! The arguments of every command that reads images from registries.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::anyhow;
use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::registry::{ClientSettings, Credentials, Mirror, Network, Platform};

use super::outcome::Failure;

/// The heading of the arguments in the help. `next_help_heading` would also be that of later arguments.
const HEADING: &str = "Registries";

/// The arguments that say how to reach registries.
#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// A file in dockerconfigjson format with credentials [default: the file that docker login writes]
    #[arg(long, help_heading = HEADING, value_name = "FILE", env = "REGISTRY_AUTH_FILE")]
    auth_file: Option<PathBuf>,

    /// CA certificates to trust in addition to the system's, as PEM
    #[arg(long, help_heading = HEADING, value_name = "FILE", env = "MUSLIN_CA_FILE", value_delimiter = ',')]
    ca_file: Vec<PathBuf>,

    /// A mirror to try first for images under a prefix, such as docker.io=mirror.example.com/hub
    #[arg(long, help_heading = HEADING, value_name = "PREFIX=MIRROR", value_parser = parse_mirror, env = "MUSLIN_MIRROR", value_delimiter = ',')]
    mirror: Vec<Mirror>,

    /// A registry to reach by plain HTTP
    #[arg(long, help_heading = HEADING, value_name = "HOST[:PORT]", env = "MUSLIN_PLAIN_HTTP", value_delimiter = ',')]
    plain_http: Vec<String>,

    /// A private network to allow, such as 10.0.0.0/8; by default only public addresses are contacted
    #[arg(long, help_heading = HEADING, value_name = "NETWORK", env = "MUSLIN_ALLOW_NETWORK", value_delimiter = ',')]
    allow_network: Vec<Network>,
}

// === impl RegistryArgs ===

impl RegistryArgs {
    /// Reads the named files and returns the settings.
    pub(super) fn settings(&self) -> Result<ClientSettings, Failure> {
        let Self { auth_file, ca_file, mirror, plain_http, allow_network } = self;
        let credentials = match (auth_file, docker_config()) {
            (Some(file), _) => read_credentials(file)?,
            (None, Some(file)) if file.exists() => read_credentials(&file)?,
            (None, _) => Credentials::default(),
        };
        let authorities = ca_file.iter().map(|file| read_authorities(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(ClientSettings {
            mirrors: mirror.clone(),
            plain_http: plain_http.clone(),
            allowed: allow_network.clone(),
            authorities: authorities.concat(),
            credentials,
            ..ClientSettings::default()
        })
    }
}

/// Returns the file that `docker login` writes.
fn docker_config() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    folder.or_else(|| env::home_dir().map(|home| home.join(".docker"))).map(|folder| folder.join("config.json"))
}

fn read_credentials(file: &Path) -> Result<Credentials, Failure> {
    let read = || Ok(Credentials::parse(&fs::read(file)?)?);
    read().map_err(|error: anyhow::Error| {
        Failure::Input(error.context(format!("cannot read the credentials in {}", file.display())))
    })
}

fn read_authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = || -> anyhow::Result<Vec<_>> {
        let certificates = CertificateDer::pem_slice_iter(&fs::read(file)?).collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() { Err(anyhow!("the file has no certificate")) } else { Ok(certificates) }
    };
    read().map_err(|error| {
        Failure::Input(error.context(format!("cannot read the CA certificates in {}", file.display())))
    })
}

fn parse_mirror(text: &str) -> anyhow::Result<Mirror> {
    match text.split_once('=') {
        Some((prefix, endpoint)) if !prefix.is_empty() && !endpoint.is_empty() => {
            Ok(Mirror { prefix: prefix.to_owned(), endpoints: vec![endpoint.to_owned()] })
        }
        _ => Err(anyhow!("expected PREFIX=MIRROR, such as docker.io=mirror.example.com/hub")),
    }
}

/// Returns this machine's platform, named as in image manifests.
pub(super) fn own_platform() -> Platform {
    Platform::linux(match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    })
}
