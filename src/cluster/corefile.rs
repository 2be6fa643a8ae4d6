//! The configuration of the cluster's DNS, as its ConfigMap has it. Must not know what it means.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

/// Where kubeadm and most clouds keep it.
const NAMESPACE: &str = "kube-system";
/// Its name there.
const CONFIG_MAP: &str = "coredns";
/// The field.
const COREFILE: &str = "Corefile";

/// CoreDNS's Corefile; `None` where the ConfigMap has none.
///
/// # Errors
/// The API server did not answer, there is no such ConfigMap, or it may not be read.
pub async fn corefile(client: Client) -> Result<Option<String>, kube::Error> {
    let map = Api::<ConfigMap>::namespaced(client, NAMESPACE).get(CONFIG_MAP).await?;
    Ok(map.data.and_then(|mut data| data.remove(COREFILE)))
}
