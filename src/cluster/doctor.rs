//! Observes a cluster for `muslin doctor`. Writes nothing: the pods that it asks for are dry runs. Must not judge.

mod answers;
mod calls;
mod inspections;
mod reader;
mod review_rights;
mod secret;

use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use crate::doctor::{self, NamespaceLabels, Observed, PortAnswer, Replica, Seen, Unseen, WebhookTrust};
use crate::installation::NAMESPACE;

use super::certificates::trust_in;
use answers::MUSLIN;
pub use answers::ObserveError;
pub(super) use answers::unseen;
use calls::{dry_run, dry_run_image};
use reader::{METRICS_TIMEOUT, PROXY_TIMEOUT, Reader};

/// The most replicas that are asked.
const REPLICAS_MAX: usize = 10;

/// Observes the muslin of a namespace; without one, the muslin that the webhook configuration names.
///
/// # Errors
/// The API server cannot be reached. What the caller may not read is part of the observations.
pub async fn observe(client: Client, namespace: Option<&str>, own_version: &str) -> Result<Observed, ObserveError> {
    let reader = Reader::new(client.clone());
    let server = reader.version().await?;
    let configurations = configurations(&reader).await;
    let namespace = muslins_namespace(namespace, &configurations);
    let paths = Paths::of(&namespace);
    let (deployment, service, slices, namespaces, before) = tokio::join!(
        reader.get(&paths.deployment),
        reader.get(&paths.service),
        reader.items(&paths.slices),
        namespaces(&reader),
        reader.api_metrics(),
    );
    let found = deployment.as_ref().ok().and_then(Option::as_ref);
    let expected = doctor::expected_objects(found, &namespace)?;
    let rights = review_rights::review(&client, &namespace, found, doctor::rights(&expected));
    let image = dry_run_image(found);
    let at = |place: fn(&Value, &[NamespaceLabels]) -> Option<String>, index: usize| {
        let configuration = configurations[index].as_ref().ok()?.as_ref()?;
        place(configuration, namespaces.as_deref().unwrap_or_default())
    };
    let mut place = at(doctor::namespace_for_dry_run, 0);
    if namespaces.is_err() {
        // Without the labels of namespaces, the most likely one.
        place = Some("default".to_owned());
    }
    let enforced = at(doctor::enforced_namespace, 1);
    let (rights, pods, definitions, secret, dry_run, enforced_dry_run) = tokio::join!(
        rights,
        pods(&reader, &namespace, found),
        definitions(&reader, &expected),
        secret::read(&reader, &namespace, found),
        dry_run(&client, place, &image),
        dry_run(&client, enforced, &image),
    );
    let replicas = replicas(&reader, &namespace, pods.as_deref().unwrap_or_default()).await;
    let failed_inspections = inspections::failed(&reader, &namespace, &replicas).await;
    let (secret, chain) = secret;
    let now = Timestamp::now();
    let after = reader.api_metrics().await;
    Ok(Observed {
        now,
        own_version: own_version.to_owned(),
        trust: trust_of(&configurations, &chain, now),
        namespace,
        server,
        definitions,
        configurations,
        namespaces,
        deployment,
        pods,
        replicas,
        failed_inspections,
        service,
        slices,
        secret,
        rights,
        dry_run,
        enforced_dry_run,
        api_metrics: [before, after],
    })
}

/// Observes the parts of a muslin that [`doctor::judge_parts`] judges: by a few requests, and without a dry run.
///
/// # Errors
/// The API server cannot be reached. What the caller may not read is part of the observations.
pub(super) async fn observe_parts(
    client: Client,
    namespace: Option<&str>,
    own_version: &str,
) -> Result<Observed, ObserveError> {
    let reader = Reader::new(client);
    let server = reader.version().await?;
    let configurations = configurations(&reader).await;
    let namespace = muslins_namespace(namespace, &configurations);
    let paths = Paths::of(&namespace);
    let (deployment, service, slices, namespaces) = tokio::join!(
        reader.get(&paths.deployment),
        reader.get(&paths.service),
        reader.items(&paths.slices),
        namespaces(&reader),
    );
    let found = deployment.as_ref().ok().and_then(Option::as_ref);
    let (pods, (secret, chain)) =
        tokio::join!(pods(&reader, &namespace, found), secret::read(&reader, &namespace, found));
    let now = Timestamp::now();
    let unasked = || Unseen::Failed("it was not asked for".to_owned());
    Ok(Observed {
        now,
        own_version: own_version.to_owned(),
        trust: trust_of(&configurations, &chain, now),
        namespace,
        server,
        definitions: Err(unasked()),
        configurations,
        namespaces,
        deployment,
        pods,
        replicas: Vec::new(),
        failed_inspections: Vec::new(),
        service,
        slices,
        secret,
        rights: Vec::new(),
        dry_run: None,
        enforced_dry_run: None,
        api_metrics: [Err(unasked()), Err(unasked())],
    })
}

/// The paths of muslin's objects.
struct Paths {
    deployment: String,
    service: String,
    slices: String,
}

impl Paths {
    fn of(namespace: &str) -> Self {
        Self {
            deployment: format!("/apis/apps/v1/namespaces/{namespace}/deployments/{MUSLIN}"),
            service: format!("/api/v1/namespaces/{namespace}/services/{MUSLIN}"),
            slices: format!(
                "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{MUSLIN}"
            ),
        }
    }
}

/// Returns muslin's namespace: the caller's word, or that of the Service in the webhook configurations.
fn muslins_namespace(namespace: Option<&str>, configurations: &[Seen<Option<Value>>; 2]) -> String {
    let named = || configurations.iter().find_map(|found| service_namespace(found.as_ref().ok()?.as_ref()?));
    namespace.map(str::to_owned).or_else(named).unwrap_or_else(|| NAMESPACE.to_owned())
}

/// Returns the trust of each webhook in the certificates of a chain.
fn trust_of(configurations: &[Seen<Option<Value>>; 2], chain: &[u8], now: Timestamp) -> Vec<WebhookTrust> {
    let found = configurations.iter().filter_map(|found| found.as_ref().ok()?.as_ref());
    found.flat_map(|configuration| trust(configuration, chain, now)).collect()
}

async fn configurations(reader: &Reader) -> [Seen<Option<Value>>; 2] {
    let path = |kind: &str| format!("/apis/admissionregistration.k8s.io/v1/{kind}/muslin.dev");
    let paths = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"].map(path);
    let (mutating, validating) = tokio::join!(reader.get(&paths[0]), reader.get(&paths[1]));
    [mutating, validating]
}

fn service_namespace(configuration: &Value) -> Option<String> {
    let namespace = configuration.pointer("/webhooks/0/clientConfig/service/namespace")?;
    namespace.as_str().map(str::to_owned)
}

fn trust(configuration: &Value, chain: &[u8], now: Timestamp) -> Vec<WebhookTrust> {
    let webhooks = configuration["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
    let trust = webhooks.iter().map(|webhook| WebhookTrust {
        webhook: webhook["name"].as_str().unwrap_or_default().to_owned(),
        trust: trust_in(webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default(), chain, now),
    });
    trust.collect()
}

async fn namespaces(reader: &Reader) -> Seen<Vec<NamespaceLabels>> {
    let items = reader.metadata_of("/api/v1/namespaces").await?;
    let labels = |item: &Value| {
        let labels = item["metadata"]["labels"].as_object().into_iter().flatten();
        labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Ok(items.iter().map(|item| NamespaceLabels { name: name(item), labels: labels(item) }).collect())
}

async fn definitions(reader: &Reader, expected: &[Value]) -> Seen<Vec<Value>> {
    let mut found = Vec::new();
    for object in expected.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        found.extend(reader.get(&format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")).await?);
    }
    Ok(found)
}

/// Returns the pods of the Deployment: those that its selector matches.
async fn pods(reader: &Reader, namespace: &str, deployment: Option<&Value>) -> Seen<Vec<Value>> {
    let labels = deployment.and_then(|deployment| deployment.pointer("/spec/selector/matchLabels")?.as_object());
    let Some(labels) = labels else { return Ok(Vec::new()) };
    let pairs =
        labels.iter().filter_map(|(key, value)| Some(format!("{}%3D{}", key.replace('/', "%2F"), value.as_str()?)));
    let selector = pairs.collect::<Vec<_>>().join("%2C");
    reader.items(&format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")).await
}

/// Asks the pods whose container runs, through the API server's pod proxy: the silence of the others has another reason.
async fn replicas(reader: &Reader, namespace: &str, pods: &[Value]) -> Vec<Replica> {
    let runs = |pod: &&Value| {
        pod["status"]["podIP"].is_string()
            && pod["metadata"]["deletionTimestamp"].is_null()
            && !pod["status"]["containerStatuses"][0]["state"]["running"].is_null()
    };
    let asked = pods.iter().filter(runs).take(REPLICAS_MAX).map(|pod| async move {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let path = |scheme: &str, port: u64, path: &str| {
            format!("/api/v1/namespaces/{namespace}/pods/{scheme}:{name}:{port}/proxy/{path}")
        };
        let (plain, webhook) = (port(pod, "metrics", 8080), port(pod, "https", 8443));
        let paths = [path("http", plain, "readyz"), path("https", webhook, "healthz"), path("http", plain, "metrics")];
        let (ready, webhook, metrics): (PortAnswer, PortAnswer, PortAnswer) = tokio::join!(
            reader.answer(&paths[0], PROXY_TIMEOUT),
            reader.answer(&paths[1], PROXY_TIMEOUT),
            reader.answer(&paths[2], METRICS_TIMEOUT),
        );
        Replica { pod: name.to_owned(), ready, webhook, metrics }
    });
    futures::future::join_all(asked).await
}

/// Returns the number of a container's port by its name.
fn port(pod: &Value, name: &str, default: u64) -> u64 {
    let ports = pod.pointer("/spec/containers/0/ports").and_then(Value::as_array);
    let port = ports.and_then(|ports| ports.iter().find(|port| port["name"] == name));
    port.and_then(|port| port["containerPort"].as_u64()).unwrap_or(default)
}
