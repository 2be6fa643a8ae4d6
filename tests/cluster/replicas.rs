//! Several replicas of muslin with their own certificates, and a stand-in for their Service: one address that forwards connections to
//! ready replicas, as kube-proxy does. Open connections stay open, also to a replica that is no longer ready.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Cluster;
use crate::common::registration::Registration;
use crate::common::webhook::Process;

/// The Secret with the certificates.
pub(crate) const SECRET: &str = "muslin-certificates";

/// Time limit of everything here: certificates are made and published within a second, and a lease expires after 15.
const DEADLINE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The registered replicas of a Deployment behind their Service; all gone when dropped.
pub(crate) struct Replicas<'c> {
    // Dropped in this order, so that every registered replica is running.
    _registrations: [Registration<'c>; 2],
    service: Service,
    running: Mutex<Vec<Replica>>,
    started: AtomicUsize,
    cluster: &'c Cluster,
    account: PathBuf,
    arguments: Vec<String>,
}

/// A replica with its name in the lease.
struct Replica {
    name: String,
    process: Process,
}

/// The address of the ready replicas.
struct Service {
    address: SocketAddr,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
    forwarding: JoinHandle<()>,
}

// === impl Replicas ===

impl<'c> Replicas<'c> {
    /// Starts replicas with these arguments on a cluster with an empty Secret.
    pub(crate) fn start(cluster: &'c Cluster, number: usize, arguments: &[&str]) -> Result<Self> {
        forget_certificates(cluster)?;
        let service = Service::start(cluster)?;
        let server = format!("https://{}", service.address);
        let registrations = Registration::of_both(&cluster.control_plane, &server)?;
        let replicas = Self {
            _registrations: registrations,
            service,
            running: Mutex::default(),
            started: AtomicUsize::new(0),
            cluster,
            account: cluster.control_plane.service_account_kubeconfig("muslin", "muslin")?,
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        };
        for _ in 0..number {
            replicas.add()?;
        }
        Ok(replicas)
    }

    fn running(&self) -> MutexGuard<'_, Vec<Replica>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts another replica, and waits until it is ready.
    pub(crate) fn add(&self) -> Result<()> {
        let name = format!("muslin-{}", self.started.fetch_add(1, Ordering::Relaxed));
        let own = ["--certificate-names", "127.0.0.1", "--identity", &name].map(str::to_owned);
        let process = Process::start(&self.account, &[&own[..], &self.arguments].concat())?;
        wait("ready", || Ok(process.get("/readyz")?.0 == "200"))?;
        self.service.ready().push(process.address.parse()?);
        self.running().push(Replica { name, process });
        Ok(())
    }

    /// Replaces all replicas by ones with other arguments.
    pub(crate) fn roll_to(&mut self, arguments: &[&str]) -> Result<()> {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.roll()
    }

    /// Replaces all replicas, as a Deployment with `maxUnavailable: 0` does.
    pub(crate) fn roll(&self) -> Result<()> {
        let number = self.running().len();
        for _ in 0..number {
            self.add()?;
            let Replica { mut process, .. } = self.running().remove(0);
            process.signal("TERM")?;
            // The kubelet sends the signal while the endpoints change; neither waits for the other.
            self.service.remove(&process)?;
            // No second signal, which would drain at once.
            let status = process.wait()?;
            ensure!(status.success(), "muslin ended with {status}");
        }
        Ok(())
    }

    /// Kills the leader, as the kernel does when memory runs out, and returns its name.
    pub(crate) fn kill_the_leader(&self) -> Result<String> {
        let holder = self.leader()?;
        let Replica { mut process, .. } = {
            let mut running = self.running();
            let place = place(&running, &holder)?;
            running.remove(place)
        };
        process.kill()?;
        self.service.remove(&process)?;
        Ok(holder)
    }

    /// Kills all replicas, as when all of their nodes are lost.
    pub(crate) fn kill_all(&self) -> Result<()> {
        for Replica { mut process, .. } in self.running().drain(..) {
            process.kill()?;
            self.service.remove(&process)?;
        }
        Ok(())
    }

    /// Suspends the leader, removes it from the Service, and returns its name.
    pub(crate) fn suspend_the_leader(&self) -> Result<String> {
        let holder = self.leader()?;
        let running = self.running();
        let process = &running[place(&running, &holder)?].process;
        self.service.remove(process)?;
        process.signal("STOP")?;
        Ok(holder)
    }

    /// Resumes all replicas, and adds them to the Service.
    pub(crate) fn resume_all(&self) -> Result<()> {
        for Replica { process, .. } in self.running().iter() {
            process.signal("CONT")?;
            let address = process.address.parse()?;
            let mut ready = self.service.ready();
            if !ready.contains(&address) {
                ready.push(address);
            }
        }
        Ok(())
    }

    pub(crate) fn leader(&self) -> Result<String> {
        let mut holder = String::new();
        wait("a leader", || {
            let lease = get(self.cluster, &["lease", "muslin", "-n", "muslin"])?;
            holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
            Ok(!holder.is_empty())
        })?;
        Ok(holder)
    }

    /// Returns the metrics of each replica.
    pub(crate) fn metrics(&self) -> Result<Vec<String>> {
        self.running().iter().map(|replica| Ok(replica.process.get("/metrics")?.1)).collect()
    }
}

fn place(running: &[Replica], name: &str) -> Result<usize> {
    running.iter().position(|replica| replica.name == name).with_context(|| format!("there is no replica {name}"))
}

// === impl Service ===

impl Service {
    fn start(cluster: &Cluster) -> Result<Self> {
        let listener = cluster.runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let ready = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let forwarding = cluster.runtime.spawn(forward(listener, Arc::clone(&ready)));
        Ok(Self { address, ready, forwarding })
    }

    fn ready(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, process: &Process) -> Result<()> {
        let address: SocketAddr = process.address.parse()?;
        self.ready().retain(|ready| *ready != address);
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

/// Forwards each connection to the next ready replica, or closes it if none is ready.
async fn forward(listener: TcpListener, ready: Arc<Mutex<Vec<SocketAddr>>>) {
    let mut turn = 0_usize;
    while let Ok((mut client, _)) = listener.accept().await {
        turn = turn.wrapping_add(1);
        let replica = {
            let ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
            if ready.is_empty() { None } else { Some(ready[turn % ready.len()]) }
        };
        let Some(replica) = replica else { continue };
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(replica).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

/// Empties the Secret, as in `manifests/`, and deletes the lease of another test's leader.
pub(crate) fn forget_certificates(cluster: &Cluster) -> Result<()> {
    let empty = json!([{ "op": "add", "path": "/data", "value": {} }]);
    patch(cluster, &["secret", SECRET, "-n", "muslin"], &empty)?;
    let arguments = ["delete", "lease", "muslin", "-n", "muslin", "--ignore-not-found"];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Requests a rotation, as a person does.
pub(crate) fn request_rotation(cluster: &Cluster, what: &str) -> Result<()> {
    let annotation = format!("muslin.dev/rotate={what}");
    let arguments = ["annotate", "secret", SECRET, "-n", "muslin", "--overwrite", &annotation];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Applies a JSON patch to an object.
pub(crate) fn patch(cluster: &Cluster, object: &[&str], patch: &Value) -> Result<()> {
    let patch = patch.to_string();
    let arguments = [&["patch"], object, &["--type=json", "-p", &patch]].concat();
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Reads an object.
pub(crate) fn get(cluster: &Cluster, object: &[&str]) -> Result<Value> {
    let output = cluster.control_plane.kubectl(&[&["get", "-o", "json"], object].concat(), None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(serde_json::from_str(&output.stdout)?)
}

/// Polls until a condition holds.
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "not {what} within {DEADLINE:?}");
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
