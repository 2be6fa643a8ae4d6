//! A real Kubernetes API server for tests: kube-apiserver and etcd on loopback, ready within seconds, gone when dropped.
//! Must not know muslin: tests install it themselves.
//!
//! There is no controller manager, no scheduler and no node. So nothing makes service accounts (see
//! [`ControlPlane::prepare_namespace`]), a deleted namespace stays `Terminating` for ever (use a new name for each test),
//! pods stay `Pending`, and they need `automountServiceAccountToken: false`.
//!
//! Needs Linux, `setpriv` from util-linux, and, until the programs are in the cache, Go: see `control-plane/build`.

#![allow(dead_code, reason = "each program uses a part of this")]

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use rcgen::KeyPair;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::common::authority::{Authority, Identity};
use crate::common::component::{Component, POLL_INTERVAL, dying_with_this_thread};

/// Time limit of one call of kubectl: far beyond any webhook timeout (30 s at most), and short of a CI timeout.
const KUBECTL_DEADLINE: Duration = Duration::from_secs(60);

/// The API server's audit log in its folder.
const AUDIT_LOG: &str = "audit.log";

/// A running API server with its etcd. Dropping it stops both and removes their files.
///
/// A process that leaves by `std::process::exit` drops nothing: drop this first. Killed by a signal, the process takes
/// both programs with it, but leaves their folder in the system's temporary folder.
pub(crate) struct ControlPlane {
    // Dropped in this order. An etcd whose folder is removed under it may spoil the next one, so the folder goes last,
    // when both programs have been waited for.
    api_server: Mutex<Component>,
    _etcd: Component,
    _port: TcpSocket,
    address: SocketAddr,
    /// The flags of the API server.
    flags: Vec<String>,
    /// The admin's TLS settings for the readiness check.
    tls: Arc<rustls::ClientConfig>,
    programs: PathBuf,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
    folder: TempDir,
}

/// The output and the status of one call of kubectl.
#[derive(Debug)]
pub(crate) struct KubectlOutput {
    pub(crate) stdout: String,
    /// Holds the `Warning:` lines of admission webhooks, too.
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts etcd and the API server, building them first if the cache does not have them (seven minutes), and returns
    /// when `/readyz` says yes (3 s).
    ///
    /// Blocks; call it from the main thread or from `spawn_blocking`.
    ///
    /// # Errors
    /// If the programs cannot be built or started, or if one ends or is not ready in time; then the error carries the
    /// end of its log.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts with further arguments for kube-apiserver.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn start_with(arguments: &[&str]) -> Result<Self> {
        // An error means that other code in this process was first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

        let programs = build()?;
        let folder = tempfile::Builder::new()
            .prefix("muslin-control-plane-")
            .tempdir()
            .context("making a folder for the control plane")?;
        let root = folder.path();
        let socket = root.join("etcd.sock");
        let (port, address) = reserve_port()?;

        let authority = Authority::new()?;
        let server = authority.issue_server_identity()?;
        let admin = authority.issue_admin_identity()?;
        let service_accounts = KeyPair::generate().context("making the key that signs service account tokens")?;
        write(root, "ca.crt", authority.pem())?;
        write(root, "api-server.crt", server.certificate.pem())?;
        write(root, "api-server.key", server.key.serialize_pem())?;
        write(root, "service-account.key", service_accounts.serialize_pem())?;
        write(root, "service-account.pub", service_accounts.public_key_pem())?;
        let kubeconfig = write(root, "kubeconfig", kubeconfig(address, &authority, &admin))?;
        write(root, "audit-policy.json", audit_policy())?;
        let audit_log = root.join(AUDIT_LOG);

        let mut etcd = Component::start("etcd", &programs, root, &etcd_arguments(root, &socket))?;
        etcd.wait_until_ready(|| UnixStream::connect(&socket).map(drop).context("connecting to its socket"))?;
        let mut flags = api_server_arguments(root, &socket, address);
        flags.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let tls = authority.client_config(&admin)?;
        let api_server = Mutex::new(start_api_server(&programs, root, &flags, address, &tls)?);
        Ok(Self { api_server, _etcd: etcd, _port: port, address, flags, tls, programs, kubeconfig, audit_log, folder })
    }

    /// Ends the API server as a node's shutdown does, and starts it again at the same address. Returns for how long it was gone.
    ///
    /// # Errors
    /// The API server does not end, or is not ready in time.
    pub(crate) fn restart_api_server(&self) -> Result<Duration> {
        let Self { programs, folder, flags, address, tls, .. } = self;
        let mut api_server = self.api_server.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Instant::now();
        api_server.stop()?;
        *api_server = start_api_server(programs, folder.path(), flags, *address, tls)?;
        Ok(asked.elapsed())
    }

    /// Returns the audit log: one event a line, about requests for pods and by service accounts.
    ///
    /// # Errors
    /// The log cannot be read; there is none before the first such request.
    pub(crate) fn audit_log(&self) -> Result<String> {
        fs::read_to_string(&self.audit_log).with_context(|| format!("reading {}", self.audit_log.display()))
    }

    /// Writes a kubeconfig file of a service account, valid as long as its token (an hour), and returns the path.
    ///
    /// # Errors
    /// There is no such service account.
    pub(crate) fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.kubectl(&["create", "token", name, "-n", namespace], None)?;
        ensure!(token.status.success(), "{}", token.stderr);
        let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&self.kubeconfig)?)?;
        config["users"][0]["user"] = json!({ "token": token.stdout.trim_end() });
        write(self.folder.path(), &format!("{namespace}-{name}.kubeconfig"), config.to_string())
    }

    /// Returns the kubeconfig file of a cluster admin.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.kubeconfig.clone()
    }

    /// Returns a command for kubectl without arguments and kubeconfig.
    pub(crate) fn kubectl_command(&self) -> Command {
        let mut command = Command::new(self.programs.join("kubectl"));
        command.env("HOME", self.folder.path());
        command
    }

    /// Returns the process id of the API server.
    pub(crate) fn api_server_id(&self) -> u32 {
        self.api_server.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// Returns the last lines of the API server's log, which names failed webhooks.
    pub(crate) fn api_server_log(&self) -> String {
        self.api_server.lock().unwrap_or_else(PoisonError::into_inner).log_tail()
    }

    /// Returns a client of a cluster admin. The client is bound to the Tokio runtime that awaits this, and must not be used after
    /// that runtime is gone.
    ///
    /// # Errors
    /// If the kubeconfig cannot be read or the TLS stack refuses it.
    pub(crate) async fn client(&self) -> Result<kube::Client> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).context("reading the control plane's kubeconfig")?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .context("understanding the control plane's kubeconfig")?;
        // A proxy named in the environment cannot reach this machine's loopback.
        config.proxy_url = None;
        kube::Client::try_from(config).context("making a client of the control plane")
    }

    /// Runs kubectl as a cluster admin, with `stdin` as its input, and waits until it ends. A failure of kubectl itself
    /// is not an error: look at the status.
    ///
    /// Blocks for as long as kubectl runs (some 0.1 s); a webhook that serves it needs another thread.
    ///
    /// # Errors
    /// If kubectl cannot be started, or has not ended within a minute.
    pub(crate) fn kubectl(&self, args: &[&str], stdin: Option<&str>) -> Result<KubectlOutput> {
        let call = || format!("running kubectl {}", args.join(" "));
        // Files instead of pipes: neither side ever waits for the other to read.
        let file = || tempfile::tempfile_in(self.folder.path()).with_context(call);
        let (mut input, mut stdout, mut stderr) = (file()?, file()?, file()?);
        input.write_all(stdin.unwrap_or_default().as_bytes()).and_then(|()| input.rewind()).with_context(call)?;

        let mut child = dying_with_this_thread(&self.programs.join("kubectl"))
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            // kubectl's discovery cache and the user's preferences live under HOME.
            .env("HOME", self.folder.path())
            .stdin(input)
            .stdout(stdout.try_clone().with_context(call)?)
            .stderr(stderr.try_clone().with_context(call)?)
            .spawn()
            .with_context(call)?;
        let deadline = Instant::now() + KUBECTL_DEADLINE;
        let status = loop {
            if let Some(status) = child.try_wait().with_context(call)? {
                break status;
            }
            if Instant::now() >= deadline {
                child.kill().and_then(|()| child.wait()).with_context(call)?;
                bail!("kubectl {} did not end within {KUBECTL_DEADLINE:?}", args.join(" "));
            }
            thread::sleep(POLL_INTERVAL);
        };
        let text = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).with_context(call)?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(KubectlOutput { stdout: text(&mut stdout)?, stderr: text(&mut stderr)?, status })
    }

    /// Makes a namespace with these labels, and in it the `default` service account, without which no pod is admitted.
    ///
    /// # Errors
    /// If the API server refuses either, for instance because the name is taken.
    pub(crate) async fn prepare_namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let client = self.client().await?;
        let labels = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(client)
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("making namespace {name}"))?;
        self.prepare_service_account(name).await
    }

    /// Makes the `default` service account of a namespace that is there already.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub(crate) async fn prepare_service_account(&self, namespace: &str) -> Result<()> {
        let client = self.client().await?;
        let account = ServiceAccount {
            metadata: ObjectMeta { name: Some("default".to_owned()), ..ObjectMeta::default() },
            ..ServiceAccount::default()
        };
        Api::namespaced(client, namespace)
            .create(&PostParams::default(), &account)
            .await
            .with_context(|| format!("making the default service account of namespace {namespace}"))?;
        Ok(())
    }
}

fn start_api_server(
    programs: &Path,
    root: &Path,
    flags: &[String],
    address: SocketAddr,
    tls: &Arc<rustls::ClientConfig>,
) -> Result<Component> {
    let mut api_server = Component::start("kube-apiserver", programs, root, flags)?;
    api_server.wait_until_ready(|| ask_readyz(address, tls))?;
    Ok(api_server)
}

/// Makes sure that the programs are built; returns the folder that holds them.
fn build() -> Result<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/control-plane/build");
    let built = Command::new(script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {script}"))?;
    ensure!(built.status.success(), "{script} ended with {}; it said why on stderr", built.status);
    let folder = String::from_utf8(built.stdout).with_context(|| format!("reading what {script} printed"))?;
    Ok(PathBuf::from(folder.trim_end()))
}

/// Takes a free loopback port and keeps it for as long as the socket lives. The socket never listens; the API server
/// shares the port with it (`--permit-port-sharing`), so that no other program can get it in between.
fn reserve_port() -> Result<(TcpSocket, SocketAddr)> {
    let reserve = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        Ok::<_, std::io::Error>((socket, address))
    };
    reserve().context("taking a free loopback port for the API server")
}

fn etcd_arguments(root: &Path, socket: &Path) -> Vec<String> {
    let (data, socket) = (root.join("etcd"), socket.display());
    vec![
        format!("--data-dir={}", data.display()),
        // A socket in our own folder: no port to find, and no other user of this machine can write to it.
        format!("--listen-client-urls=unix://{socket}"),
        // etcd rejects a Unix socket here; the address is unused.
        "--advertise-client-urls=http://127.0.0.1:0".to_owned(),
        // etcd insists on listening for peers.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        // The data need not survive the machine.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_arguments(root: &Path, socket: &Path, address: SocketAddr) -> Vec<String> {
    let file = |name| root.join(name).display().to_string();
    vec![
        format!("--etcd-servers=unix://{}", socket.display()),
        format!("--bind-address={}", address.ip()),
        format!("--secure-port={}", address.port()),
        "--permit-port-sharing".to_owned(),
        // The endpoint of the Service `kubernetes`. Loopback is rejected there, and the default needs a route to the outside. The
        // address is unused, so one that is reserved for documentation will do (RFC 5737).
        "--advertise-address=192.0.2.1".to_owned(),
        format!("--tls-cert-file={}", file("api-server.crt")),
        format!("--tls-private-key-file={}", file("api-server.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!("--service-account-signing-key-file={}", file("service-account.key")),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        // As kubeadm sets it: a privileged container is the business of admission, not of this flag.
        "--allow-privileged".to_owned(),
        format!("--audit-policy-file={}", file("audit-policy.json")),
        format!("--audit-log-path={}", file(AUDIT_LOG)),
    ]
}

/// Records requests for pods with the annotations of admission, and all requests of service accounts.
fn audit_policy() -> String {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            { "level": "Metadata", "resources": [{ "group": "", "resources": ["pods"] }] },
            { "level": "Metadata", "userGroups": ["system:serviceaccounts"] },
            { "level": "None" },
        ],
    })
    .to_string()
}

/// Writes a file of the control plane, and returns its path.
fn write(root: &Path, name: &str, contents: impl AsRef<[u8]>) -> Result<PathBuf> {
    let path = root.join(name);
    fs::write(&path, contents).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// Returns a kubeconfig in JSON, which is YAML too.
fn kubeconfig(address: SocketAddr, authority: &Authority, user: &Identity) -> String {
    let encode = |pem: String| BASE64_STANDARD.encode(pem);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority-data": encode(authority.pem()),
        }}],
        "users": [{ "name": "admin", "user": {
            "client-certificate-data": encode(user.certificate.pem()),
            "client-key-data": encode(user.key.serialize_pem()),
        }}],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
        "current-context": "test",
    })
    .to_string()
}

/// Checks once whether the API server is ready. The error has its answer, which names the failing checks.
///
/// One request by hand, because a Kubernetes client needs a Tokio runtime and [`ControlPlane::start`] may be called in
/// one or without one.
fn ask_readyz(address: SocketAddr, tls: &Arc<rustls::ClientConfig>) -> Result<()> {
    let patience = Duration::from_secs(5);
    let mut socket = TcpStream::connect_timeout(&address, patience).context("connecting to it")?;
    socket.set_read_timeout(Some(patience)).context("limiting the wait for its answer")?;
    let mut session = rustls::ClientConnection::new(Arc::clone(tls), address.ip().into())?;
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").context("asking it for /readyz")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading its answer to /readyz")?;
    ensure!(answer.starts_with("HTTP/1.0 200 "), "/readyz answered:\n{answer}");
    Ok(())
}
