//! Several replicas of muslin that keep their own certificates, and what plays their Service: one address whose connections go to the
//! replicas that are ready, as kube-proxy would have it. What is open stays open, also to one that is not ready any more.

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

/// The Secret in which the certificates are.
pub(crate) const SECRET: &str = "muslin-certificates";

/// How long anything here may take: certificates are made and published within a second, and a lease runs out after 15.
const DEADLINE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The replicas of a Deployment, registered, behind their Service. Dropped, all of it is gone.
pub(crate) struct Replicas<'c> {
    // In this order: what is registered runs.
    _registrations: [Registration<'c>; 2],
    service: Service,
    running: Mutex<Vec<Replica>>,
    started: AtomicUsize,
    cluster: &'c Cluster,
    account: PathBuf,
    arguments: Vec<String>,
}

/// One of them, by the name that it has in the lease.
struct Replica {
    name: String,
    process: Process,
}

/// The address of the replicas that are ready.
struct Service {
    address: SocketAddr,
    ready: Arc<Mutex<Vec<SocketAddr>>>,
    forwarding: JoinHandle<()>,
}

// === impl Replicas ===

impl<'c> Replicas<'c> {
    /// So many, with these arguments, on a cluster where muslin never ran: its Secret is empty.
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

    /// Starts one more, and waits until it is ready.
    pub(crate) fn add(&self) -> Result<()> {
        let name = format!("muslin-{}", self.started.fetch_add(1, Ordering::Relaxed));
        let own = ["--certificate-names", "127.0.0.1", "--identity", &name].map(str::to_owned);
        let process = Process::start(&self.account, &[&own[..], &self.arguments].concat())?;
        wait("ready", || Ok(process.get("/readyz")?.0 == "200"))?;
        self.service.ready().push(process.address.parse()?);
        self.running().push(Replica { name, process });
        Ok(())
    }

    /// Replaces each, as a Deployment with `maxUnavailable: 0` does.
    pub(crate) fn roll(&self) -> Result<()> {
        let number = self.running().len();
        for _ in 0..number {
            self.add()?;
            let Replica { mut process, .. } = self.running().remove(0);
            process.signal("TERM")?;
            // The kubelet tells and the endpoints change at the same time, and neither waits for the other.
            self.service.remove(&process)?;
            // Not asked twice: the second time it would drain at once.
            let status = process.wait()?;
            ensure!(status.success(), "muslin ended with {status}");
        }
        Ok(())
    }

    /// Kills whichever holds the lease, as the kernel does when memory runs out; its name.
    pub(crate) fn kill_the_lease_holder(&self) -> Result<String> {
        let holder = self.lease_holder()?;
        let Replica { mut process, .. } = {
            let mut running = self.running();
            let place = place(&running, &holder)?;
            running.remove(place)
        };
        process.kill()?;
        self.service.remove(&process)?;
        Ok(holder)
    }

    /// Stops whichever holds the lease in the middle of whatever it does, and sends no connection there; its name.
    pub(crate) fn suspend_the_lease_holder(&self) -> Result<String> {
        let holder = self.lease_holder()?;
        let running = self.running();
        let process = &running[place(&running, &holder)?].process;
        self.service.remove(process)?;
        process.signal("STOP")?;
        Ok(holder)
    }

    /// Lets all go on, and sends connections to all.
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

    pub(crate) fn lease_holder(&self) -> Result<String> {
        let mut holder = String::new();
        wait("a holder of the lease", || {
            let lease = get(self.cluster, &["lease", "muslin", "-n", "muslin"])?;
            holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
            Ok(!holder.is_empty())
        })?;
        Ok(holder)
    }

    /// What the metrics of each say.
    pub(crate) fn metrics(&self) -> Result<Vec<String>> {
        self.running().iter().map(|replica| Ok(replica.process.get("/metrics")?.1)).collect()
    }
}

fn place(running: &[Replica], name: &str) -> Result<usize> {
    running.iter().position(|replica| replica.name == name).with_context(|| format!("{name} is none of ours"))
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

/// Each connection to the next replica that is ready; with none, it is closed.
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

/// Empties the Secret, as `manifests/` bring it, and takes the lease from whoever had it in another test.
pub(crate) fn forget_certificates(cluster: &Cluster) -> Result<()> {
    let empty = json!([{ "op": "add", "path": "/data", "value": {} }]);
    patch(cluster, &["secret", SECRET, "-n", "muslin"], &empty)?;
    let arguments = ["delete", "lease", "muslin", "-n", "muslin", "--ignore-not-found"];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// Asks for a rotation, as a person does.
pub(crate) fn ask_to_rotate(cluster: &Cluster, what: &str) -> Result<()> {
    let wish = format!("muslin.dev/rotate={what}");
    let arguments = ["annotate", "secret", SECRET, "-n", "muslin", "--overwrite", &wish];
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// A JSON patch of an object.
pub(crate) fn patch(cluster: &Cluster, object: &[&str], patch: &Value) -> Result<()> {
    let patch = patch.to_string();
    let arguments = [&["patch"], object, &["--type=json", "-p", &patch]].concat();
    let output = cluster.control_plane.kubectl(&arguments, None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(())
}

/// An object as it is.
pub(crate) fn get(cluster: &Cluster, object: &[&str]) -> Result<Value> {
    let output = cluster.control_plane.kubectl(&[&["get", "-o", "json"], object].concat(), None)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok(serde_json::from_str(&output.stdout)?)
}

/// Asks again and again until it is so.
pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + DEADLINE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "not {what} within {DEADLINE:?}");
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
