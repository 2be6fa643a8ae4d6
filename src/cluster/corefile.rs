//! The configuration of the cluster's DNS server, read from its ConfigMap. Must not know its syntax.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

/// The namespace that kubeadm and most clouds use.
const NAMESPACE: &str = "kube-system";
/// The name that they use.
const CONFIG_MAP: &str = "coredns";
/// The key in the ConfigMap.
const COREFILE: &str = "Corefile";

/// Returns CoreDNS's Corefile; `None` if the ConfigMap has none.
///
/// # Errors
/// The API server did not answer, the ConfigMap does not exist, or the right to read it is missing.
pub async fn corefile(client: Client) -> Result<Option<String>, kube::Error> {
    let map = Api::<ConfigMap>::namespaced(client, NAMESPACE).get(CONFIG_MAP).await?;
    Ok(map.data.and_then(|mut data| data.remove(COREFILE)))
}
