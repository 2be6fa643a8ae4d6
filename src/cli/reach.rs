//! How commands reach registries: one set of arguments for all that read images.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::anyhow;
use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::registry::{Credentials, Mirror, Network, Platform, Settings};

use super::Failure;

/// How registries are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registries")]
pub(super) struct Reach {
    /// A dockerconfigjson with credentials [default: what docker login wrote, if anything]
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE")]
    auth_file: Option<PathBuf>,

    /// Authorities to trust besides the system's, as PEM
    #[arg(long, value_name = "FILE", env = "MUSLIN_CA_FILE", value_delimiter = ',')]
    ca_file: Vec<PathBuf>,

    /// A mirror to ask first for what is under a prefix, such as docker.io=mirror.example.com/hub
    #[arg(long, value_name = "PREFIX=MIRROR", value_parser = mirror, env = "MUSLIN_MIRROR", value_delimiter = ',')]
    mirror: Vec<Mirror>,

    /// A registry that speaks HTTP without TLS
    #[arg(long, value_name = "HOST[:PORT]", env = "MUSLIN_PLAIN_HTTP", value_delimiter = ',')]
    plain_http: Vec<String>,

    /// A network that may be reached though it is not public, such as 10.0.0.0/8
    #[arg(long, value_name = "NETWORK", env = "MUSLIN_ALLOW_NETWORK", value_delimiter = ',')]
    allow_network: Vec<Network>,
}

// === impl Reach ===

impl Reach {
    /// What the arguments and the files that they name come to.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let Self { auth_file, ca_file, mirror, plain_http, allow_network } = self;
        let credentials = match (auth_file, docker_config()) {
            (Some(file), _) => credentials(file)?,
            (None, Some(file)) if file.exists() => credentials(&file)?,
            (None, _) => Credentials::default(),
        };
        let authorities = ca_file.iter().map(|file| authorities(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(Settings {
            mirrors: mirror.clone(),
            plain_http: plain_http.clone(),
            allowed: allow_network.clone(),
            authorities: authorities.concat(),
            credentials,
            ..Settings::default()
        })
    }
}

/// Where `docker login` writes.
fn docker_config() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    folder.or_else(|| env::home_dir().map(|home| home.join(".docker"))).map(|folder| folder.join("config.json"))
}

fn credentials(file: &Path) -> Result<Credentials, Failure> {
    let read = || Ok(Credentials::parse(&fs::read(file)?)?);
    read().map_err(|error: anyhow::Error| Failure::Input(error.context(file.display().to_string())))
}

fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let read = || -> anyhow::Result<Vec<_>> {
        let certificates = CertificateDer::pem_slice_iter(&fs::read(file)?).collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() { Err(anyhow!("there is no certificate in it")) } else { Ok(certificates) }
    };
    read().map_err(|error| Failure::Input(error.context(file.display().to_string())))
}

fn mirror(text: &str) -> Result<Mirror, String> {
    match text.split_once('=') {
        Some((prefix, endpoint)) if !prefix.is_empty() && !endpoint.is_empty() => {
            Ok(Mirror { prefix: prefix.to_owned(), endpoints: vec![endpoint.to_owned()] })
        }
        _ => Err("write PREFIX=MIRROR, such as docker.io=mirror.example.com/hub".to_owned()),
    }
}

/// This machine's platform, by the names that images have for it.
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
