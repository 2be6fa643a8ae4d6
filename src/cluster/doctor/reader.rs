//! Reads the API by paths, each within a time limit and up to a size.

use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use kube::Client;
use kube::client::Body;
use serde_json::Value;

use super::answers::{ObserveError, TIMEOUT, chain, limited, unseen};
use crate::doctor::{PortAnswer, Seen, Unseen};

/// Limit of a probe through the API server's pod proxy: more than the webhook's timeout of 2 s, and than one lost packet.
pub(super) const PROXY_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of a read of muslin's metrics.
pub(super) const METRICS_TIMEOUT: Duration = Duration::from_secs(8);

/// Limit of an answer's size. An API server with thousands of series has some megabytes of metrics.
const SIZE_MAX: usize = 64 * 1024 * 1024;

/// The API server's metrics that are kept.
const API_METRICS: &str = "apiserver_admission_webhook_";

/// Asks for only the metadata of objects.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// A reader of the API.
pub(super) struct Reader {
    client: Client,
}

// === impl Reader ===

impl Reader {
    pub(super) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Returns the API server's version.
    pub(super) async fn version(&self) -> Result<Seen<String>, ObserveError> {
        let answer = tokio::time::timeout(TIMEOUT, self.client.apiserver_version()).await;
        match answer {
            Ok(Ok(info)) => Ok(Ok(info.git_version)),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                Ok(Err(Unseen::Forbidden(status.message.clone())))
            }
            Ok(Err(kube::Error::Api(status))) => Err(ObserveError::Unreachable(status.message.clone())),
            Ok(Err(error)) => Err(ObserveError::Unreachable(chain(&error))),
            Err(_) => Err(ObserveError::Unreachable(format!("no answer in {} s", TIMEOUT.as_secs()))),
        }
    }

    /// Reads an object; `None` if it does not exist.
    pub(super) async fn get(&self, path: &str) -> Seen<Option<Value>> {
        let request = async {
            let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
            match self.client.request(request).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                object => object.map(Some),
            }
        };
        limited(request).await
    }

    /// Reads the items of a list.
    pub(super) async fn items(&self, path: &str) -> Seen<Vec<Value>> {
        Ok(self.get(path).await?.map(items).unwrap_or_default())
    }

    /// Reads the metadata of the items of a list.
    pub(super) async fn metadata_of(&self, path: &str) -> Seen<Vec<Value>> {
        let request = async {
            let request = Request::get(path).header("Accept", METADATA).body(Vec::new());
            self.client.request(request.map_err(kube::Error::HttpError)?).await
        };
        limited(request).await.map(items)
    }

    /// Reads the API server's metrics about webhooks.
    pub(super) async fn api_metrics(&self) -> Seen<String> {
        match self.answer("/metrics", TIMEOUT).await {
            PortAnswer::Answer(200, text) => {
                let kept: Vec<&str> = text.lines().filter(|line| line.starts_with(API_METRICS)).collect();
                Ok(kept.join("\n"))
            }
            PortAnswer::Answer(status, _) => Err(Unseen::Failed(format!("the status is {status}"))),
            PortAnswer::Silent(reason) => Err(Unseen::Failed(reason)),
            PortAnswer::Unseen(unseen) => Err(unseen),
        }
    }

    /// Returns the answer of a path, such as that of a pod through the API server's proxy.
    pub(super) async fn answer(&self, path: &str, limit: Duration) -> PortAnswer {
        match tokio::time::timeout(limit, self.try_answer(path)).await {
            Ok(Ok((status, text))) => judge(status, text),
            Ok(Err(error)) => PortAnswer::Unseen(unseen(&error)),
            Err(_) => PortAnswer::Silent(format!("no answer in {} s (a timeout)", limit.as_secs())),
        }
    }

    async fn try_answer(&self, path: &str) -> Result<(u16, String), kube::Error> {
        let request = Request::get(path).body(Body::empty()).map_err(kube::Error::HttpError)?;
        let answer = self.client.send(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), SIZE_MAX).collect().await.map_err(kube::Error::Service)?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    }
}

/// Tells the answer of a pod from the API server's own `Status` about it.
fn judge(status: u16, text: String) -> PortAnswer {
    let own = serde_json::from_str::<Value>(&text).ok().filter(|value| value["kind"] == "Status");
    let Some(own) = own else { return PortAnswer::Answer(status, text) };
    let message = own["message"].as_str().unwrap_or_default().to_owned();
    if status == 403 { PortAnswer::Unseen(Unseen::Forbidden(message)) } else { PortAnswer::Silent(message) }
}

fn items(mut list: Value) -> Vec<Value> {
    match list["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_servers_own_status_is_no_answer_of_a_pod() {
        let status = |code: u16| {
            let status = serde_json::json!({ "kind": "Status", "message": "dial tcp 10.0.0.1:8443: i/o timeout" });
            judge(code, status.to_string())
        };
        assert!(matches!(status(503), PortAnswer::Silent(reason) if reason.contains("i/o timeout")));
        assert!(matches!(status(403), PortAnswer::Unseen(Unseen::Forbidden(_))));
        let stopping = judge(503, "stopping\n".to_owned());
        assert_eq!(stopping, PortAnswer::Answer(503, "stopping\n".to_owned()));
    }
}
