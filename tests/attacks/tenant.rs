//! Users of the API server: the tenant who attacks, a service account that may write objects in its own namespace and nothing else; and an
//! admin, for objects that tenants may not write.

use anyhow::{Context as _, Result, ensure};
use axum::http::{Method, Request, header};
use futures::future::join_all;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tokio::runtime::Runtime;

use crate::common::control_plane::ControlPlane;

/// The tenant's namespace and the resources that it may write in it.
pub(crate) const NAMESPACE: &str = "tenant";
const RESOURCES: &str = "pods,pods/ephemeralcontainers,secrets,replicationcontrollers,deployments.apps,statefulsets.apps,\
    daemonsets.apps,replicasets.apps,jobs.batch,cronjobs.batch";

/// A user of the API server.
pub(crate) struct User {
    client: Client,
}

// === impl User ===

impl User {
    /// Makes the tenant's namespace and account.
    pub(crate) fn tenant(control_plane: &ControlPlane, runtime: &Runtime) -> Result<Self> {
        runtime.block_on(control_plane.prepare_namespace(NAMESPACE, &[]))?;
        let resources = format!("--resource={RESOURCES}");
        let role = ["create", "role", NAMESPACE, "-n", NAMESPACE, "--verb=*", &resources];
        let account = "--serviceaccount=tenant:default";
        let binding = ["create", "rolebinding", NAMESPACE, "-n", NAMESPACE, "--role=tenant", account];
        for arguments in [role, binding] {
            let output = control_plane.kubectl(&arguments, None)?;
            ensure!(output.status.success(), "{}", output.stderr);
        }
        let kubeconfig = control_plane.service_account_kubeconfig(NAMESPACE, "default")?;
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(&kubeconfig).context("reading the tenant's kubeconfig")?;
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
            // A proxy named in the environment cannot reach this machine's loopback.
            config.proxy_url = None;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self { client })
    }

    /// Returns a cluster admin.
    pub(crate) fn admin(control_plane: &ControlPlane, runtime: &Runtime) -> Result<Self> {
        Ok(Self { client: runtime.block_on(control_plane.client())? })
    }

    /// Creates an object at this path several times at once, as a dry run. Returns the answers; the API server denies most attacks by its
    /// own checks, which come after the webhooks.
    pub(crate) async fn create(&self, path: &str, object: &str, at_once: usize) -> Vec<Result<String>> {
        let path = format!("{path}?dryRun=All");
        join_all((0..at_once).map(|_| self.send(Method::POST, &path, object.as_bytes().to_vec()))).await
    }

    /// Sends a request, and returns the body of a successful answer.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<String> {
        let request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json").body(body)?;
        Ok(self.client.request_text(request).await?)
    }
}

/// Returns the path of a resource in the tenant's namespace, such as `apis/apps/v1` and `deployments`.
pub(crate) fn path(version: &str, resource: &str) -> String {
    format!("/{version}/namespaces/{NAMESPACE}/{resource}")
}
