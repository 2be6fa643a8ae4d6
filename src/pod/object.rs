//! The part of a Pod that matters to DNS, borrowed from the request's bytes. Unknown fields are skipped without being stored, so they cost
//! no memory.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::annotations::Annotations;
use super::charged;
use super::dns::{Dns, DnsOption, Policy};
use super::env::{MESH_PROXY_VARIABLE, ResolverEnv};
use super::expansion::{Variables, has_reference};
use super::keys::{KeyOwner, KeyPlace, ROLLOUT_KEY, UnreadKey, keep_unread};
use super::objects_only::deserialize_objects_only;
use super::placement::{self, Affinity, NodeSelector};
use super::text::Text;

/// Label with the C library of the pod's containers.
pub const LIBC_LABEL: &str = "muslin.dev/libc";

/// Label with which a pod joins Istio's ambient mode.
pub(crate) const ISTIO_MODE_LABEL: &str = "istio.io/dataplane-mode";

/// A pod, or a pod template.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Pod<'a> {
    /// The metadata; templates often have none.
    #[serde(borrow, default)]
    pub metadata: Option<Metadata<'a>>,
    /// The specification.
    #[serde(borrow, default)]
    pub spec: Option<Spec<'a>>,
}

/// A pod whose ephemeral containers count as main containers. Only running pods have ephemeral containers, so a plan for a new pod
/// leaves them out.
#[derive(Debug, Default)]
pub struct RunningPod<'a>(pub Pod<'a>);

/// The metadata that muslin reads.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Metadata<'a> {
    /// The name; absent at creation if the API server is to generate one.
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    /// The prefix of a generated name.
    #[serde(borrow, default)]
    pub generate_name: Option<Text<'a>>,
    /// The namespace; templates have none.
    #[serde(borrow, default)]
    pub namespace: Option<Text<'a>>,
    /// The labels that muslin reads; `None` where the object has no `labels`, or null.
    #[serde(borrow, default)]
    pub labels: Option<Labels<'a>>,
    /// The annotations that muslin reads; `None` where the object has no `annotations`, or null.
    #[serde(borrow, default)]
    pub annotations: Option<Annotations<'a>>,
}

/// The labels that muslin reads, and all labels as raw JSON.
#[derive(Debug)]
pub struct Labels<'a> {
    /// [`LIBC_LABEL`].
    pub libc: Option<Text<'a>>,
    /// [`ROLLOUT_KEY`].
    rollout: Option<Text<'a>>,
    /// `istio.io/dataplane-mode`.
    istio_mode: Option<Text<'a>>,
    /// The keys that begin with `muslin.dev/` and that nothing reads, some of them.
    unread: Vec<Text<'a>>,
    all: &'a RawValue,
}

/// All labels, parsed.
struct LabelMap(BTreeMap<String, String>);

/// The labels that muslin reads.
#[derive(Default)]
struct KnownLabels<'a> {
    libc: Option<Text<'a>>,
    rollout: Option<Text<'a>>,
    istio_mode: Option<Text<'a>>,
    unread: Vec<Text<'a>>,
}

/// The specification that muslin reads.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase")]
pub struct Spec<'a> {
    /// The main containers.
    #[serde(borrow, default, deserialize_with = "charged::containers")]
    containers: Option<Vec<Container<'a>>>,
    /// The init containers, including sidecars (`restartPolicy: Always`).
    #[serde(borrow, default, deserialize_with = "charged::containers")]
    init_containers: Option<Vec<Container<'a>>>,
    /// The containers that were added to the running pod.
    #[serde(borrow, default, deserialize_with = "charged::containers")]
    ephemeral_containers: Option<Vec<Container<'a>>>,
    /// Is true if the pod uses the node's network.
    #[serde(default)]
    host_network: Option<bool>,
    /// `ClusterFirst` where absent.
    #[serde(borrow, default)]
    dns_policy: Option<Text<'a>>,
    /// The author's DNS settings.
    #[serde(borrow, default)]
    dns_config: Option<DnsConfig<'a>>,
    /// The operating system.
    #[serde(borrow, default)]
    os: Option<Os<'a>>,
    /// The simple constraint on nodes.
    #[serde(borrow, default)]
    node_selector: Option<NodeSelector<'a>>,
    /// The detailed constraint on nodes.
    #[serde(borrow, default)]
    affinity: Option<Affinity<'a>>,
    /// The service account; the API server writes it into every pod before it calls webhooks.
    #[serde(borrow, default)]
    service_account_name: Option<Text<'a>>,
    /// The Secrets with the credentials for the images.
    #[serde(borrow, default, deserialize_with = "charged::items")]
    image_pull_secrets: Option<Vec<SecretName<'a>>>,
}

/// One of `spec.imagePullSecrets`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self")]
struct SecretName<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

/// `spec.os`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self")]
struct Os<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

/// `spec.dnsConfig`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self")]
struct DnsConfig<'a> {
    #[serde(borrow, default, deserialize_with = "charged::items")]
    nameservers: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, deserialize_with = "charged::searches")]
    searches: Option<Vec<Text<'a>>>,
    #[serde(borrow, default, deserialize_with = "charged::options")]
    options: Option<Vec<DnsConfigOption<'a>>>,
}

/// One of `spec.dnsConfig.options`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self")]
struct DnsConfigOption<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    value: Option<Text<'a>>,
}

/// A container of any kind.
#[derive(Debug, Default, Deserialize)]
#[serde(remote = "Self")]
pub struct Container<'a> {
    /// The name, unique in the pod.
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    /// The image reference as written; a template may lack one.
    #[serde(borrow, default)]
    pub image: Option<Text<'a>>,
    /// The entrypoint in place of the image's: a JSON array of strings, not parsed.
    #[serde(borrow, default, deserialize_with = "charged::raw")]
    pub command: Option<&'a RawValue>,
    /// The arguments in place of the image's: a JSON array of strings, not parsed.
    #[serde(borrow, default, deserialize_with = "charged::raw")]
    pub args: Option<&'a RawValue>,
    /// The working directory in place of the image's.
    #[serde(borrow, default, rename = "workingDir")]
    pub working_dir: Option<Text<'a>>,
    /// The environment variables that change how names are resolved.
    #[serde(borrow, default)]
    pub env: ResolverEnv<'a>,
}

/// The existing parts of `spec.dnsConfig`; a patch must add the missing parents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsConfigShape {
    /// `dnsConfig` is an object, not absent or null.
    pub is_object: bool,
    /// `dnsConfig.options` is a list, not absent or null.
    pub has_options: bool,
}

deserialize_objects_only! { Pod, Metadata, Spec, SecretName, Os, DnsConfig, DnsConfigOption, Container }

// === impl Pod ===

impl<'a> Pod<'a> {
    /// Returns every container that resolves names in this pod: init containers and sidecars first, as the kubelet starts them.
    pub fn containers(&self) -> impl Iterator<Item = &Container<'a>> {
        let main = self.spec.as_ref().and_then(|spec| spec.containers.as_deref()).unwrap_or_default();
        self.init_containers().iter().chain(main)
    }

    /// Returns the init containers, including sidecars.
    pub fn init_containers(&self) -> &[Container<'a>] {
        self.spec.as_ref().and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default()
    }

    /// Returns whether two pods run the same images in containers of the same names, in the same order.
    pub fn runs_the_images_of(&self, other: &Pod<'_>) -> bool {
        let own = self.containers().map(|container| (container.name.as_deref(), container.image()));
        own.eq(other.containers().map(|container| (container.name.as_deref(), container.image())))
    }

    /// Returns the annotations that muslin reads; all are unset if the object has no `annotations`.
    pub fn annotations(&self) -> &Annotations<'a> {
        const NONE: &Annotations<'static> = &Annotations::NONE;
        self.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref()).unwrap_or(NONE)
    }

    /// Returns all labels, parsed with each call.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        let labels: Option<LabelMap> = labels.and_then(|labels| serde_json::from_str(labels.all.get()).ok());
        // The API server accepts only strings.
        labels.map(|LabelMap(labels)| labels).unwrap_or_default()
    }

    /// Returns the name of the service account; `default` if unset.
    pub fn service_account(&self) -> &str {
        self.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default")
    }

    /// Returns the labels and annotations that begin with `muslin.dev/` and that nothing reads, some of them.
    pub fn unread_keys(&self) -> impl Iterator<Item = UnreadKey<'_>> {
        let labels = self.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
        let labels = labels.into_iter().flat_map(|labels| &labels.unread).map(|key| (KeyPlace::Labels, &**key));
        let keys = labels.chain(self.annotations().unread.iter().map(|key| (KeyPlace::Annotations, &**key)));
        keys.map(|(place, key)| UnreadKey { owner: KeyOwner::Pod, place, key })
    }

    /// Returns the value of [`LIBC_LABEL`].
    pub fn libc_label(&self) -> Option<&str> {
        self.metadata.as_ref()?.labels.as_ref()?.libc.as_deref()
    }

    /// Returns the value of the label [`ROLLOUT_KEY`].
    pub fn rollout_label(&self) -> Option<&str> {
        self.metadata.as_ref()?.labels.as_ref()?.rollout.as_deref()
    }

    /// Returns the name; `None` if the API server is to generate one, and in a template.
    pub fn own_name(&self) -> Option<&str> {
        self.metadata.as_ref()?.name.as_deref().filter(|name| !name.is_empty())
    }

    /// Returns the name, or the prefix of the name to be generated; `None` in a template.
    pub fn name(&self) -> Option<&str> {
        let metadata = self.metadata.as_ref()?;
        metadata.name.as_deref().or(metadata.generate_name.as_deref())
    }

    /// Returns the namespace, if the object has one.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata.as_ref()?.namespace.as_deref()
    }

    /// Returns whether the pod is the mirror of a static pod. The kubelet would delete and create a changed one for ever.
    pub fn is_mirror(&self) -> bool {
        self.annotations().mirror
    }

    /// Returns whether the pod says that it runs on Windows, which has no resolv.conf: by `spec.os`, or by the nodes that it asks for.
    pub fn is_windows(&self) -> bool {
        let Some(spec) = self.spec.as_ref() else { return false };
        match spec.os.as_ref().and_then(|os| os.name.as_deref()) {
            Some(name) => name.eq_ignore_ascii_case("windows"),
            None => placement::is_for_windows(spec.node_selector.as_ref(), spec.affinity.as_ref()),
        }
    }

    /// Returns the architectures (`amd64`, as Go names them) of the nodes that the pod may run on, among those of the `cluster` and
    /// those that the pod names.
    pub fn architectures<'p>(&'p self, cluster: &[&'p str]) -> Vec<&'p str> {
        let spec = self.spec.as_ref();
        let selector = spec.and_then(|spec| spec.node_selector.as_ref());
        placement::architectures(selector, spec.and_then(|spec| spec.affinity.as_ref()), cluster)
    }

    /// Returns the names of the Secrets, in the pod's namespace, with the credentials for its images. They include those of its service
    /// account, which the API server writes into the pod before it calls webhooks (kubernetes `plugin/pkg/admission/serviceaccount`).
    pub fn pull_secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.spec.as_ref().and_then(|spec| spec.image_pull_secrets.as_deref()).unwrap_or_default();
        secrets.iter().filter_map(|secret| secret.name.as_deref()).filter(|name| !name.is_empty())
    }

    /// Returns the settings that decide the pod's resolv.conf.
    pub fn dns(&self) -> Dns {
        let Some(spec) = self.spec.as_ref() else { return Dns::default() };
        let strings = |texts: Option<&'_ Vec<Text<'a>>>| -> Vec<String> {
            texts.into_iter().flatten().map(|text| text.to_string()).collect()
        };
        let config = spec.dns_config.as_ref();
        Dns {
            policy: Policy::of(spec.dns_policy.as_deref(), spec.host_network.unwrap_or(false)),
            nameservers: strings(config.and_then(|config| config.nameservers.as_ref())),
            searches: strings(config.and_then(|config| config.searches.as_ref())),
            options: config
                .and_then(|config| config.options.as_ref())
                .into_iter()
                .flatten()
                .map(|option| DnsOption::new(option.name.as_deref().unwrap_or_default(), option.value.as_deref()))
                .collect(),
            mesh_dns_proxy: self.has_mesh_dns_proxy(),
        }
    }

    /// Returns whether the pod shows that Istio's proxy takes its DNS queries: by the environment of an injected sidecar, by the pod's own
    /// `proxyMetadata`, or by ambient mode, which takes them by default from Istio 1.25 on (istio.io, "DNS Proxying").
    fn has_mesh_dns_proxy(&self) -> bool {
        let is_on = |value: &str| value.trim_start_matches([':', ' ', '\t', '"', '\'']).starts_with("true");
        let in_sidecar =
            || self.containers().any(|container| container.env.get(MESH_PROXY_VARIABLE).is_some_and(is_on));
        let annotations = self.annotations();
        let in_config = || {
            let config = annotations.istio_config.as_deref().unwrap_or_default();
            config.split_once(MESH_PROXY_VARIABLE).is_some_and(|(_, value)| is_on(value))
        };
        let in_ambient = || {
            let labels = self.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
            labels.and_then(|labels| labels.istio_mode.as_deref()) == Some("ambient")
                && annotations.ambient_dns_capture.as_deref() != Some("false")
        };
        in_sidecar() || in_config() || in_ambient()
    }

    /// Returns whether a plan sees no difference between two pods or templates: everything that muslin reads is equal, apart from
    /// names, namespaces and the labels of others.
    pub fn equals_for_plan(&self, other: &Pod<'_>) -> bool {
        fn parts<'p>(pod: &'p Pod<'_>) -> Option<(Option<Option<&'p str>>, Option<&'p Annotations<'p>>)> {
            let Metadata { name: _, generate_name: _, namespace: _, labels, annotations } = pod.metadata.as_ref()?;
            Some((labels.as_ref().map(|labels| labels.libc.as_deref()), annotations.as_ref()))
        }
        parts(self) == parts(other) && self.spec == other.spec && self.unread_keys().eq(other.unread_keys())
    }

    /// Returns the existing parts of `spec.dnsConfig`.
    pub fn dns_config_shape(&self) -> DnsConfigShape {
        let config = self.spec.as_ref().and_then(|spec| spec.dns_config.as_ref());
        DnsConfigShape {
            is_object: config.is_some(),
            has_options: config.is_some_and(|config| config.options.is_some()),
        }
    }
}

// === impl RunningPod ===

impl<'de: 'a, 'a> Deserialize<'de> for RunningPod<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut pod = <Pod<'a> as Deserialize>::deserialize(deserializer)?;
        if let Some(spec) = pod.spec.as_mut() {
            let added = spec.ephemeral_containers.take().unwrap_or_default();
            spec.containers.get_or_insert_default().extend(added);
        }
        Ok(Self(pod))
    }
}

// === impl Metadata ===

impl Metadata<'_> {
    /// Returns the labels and annotations that begin with `muslin.dev/` and that nothing reads on a workload or a Job template.
    pub(super) fn unread_keys(&self, owner: KeyOwner) -> impl Iterator<Item = UnreadKey<'_>> {
        let labels = self.labels.iter().flat_map(|labels| {
            let known = [(LIBC_LABEL, &labels.libc), (ROLLOUT_KEY, &labels.rollout)];
            let known = known.into_iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key);
            known.chain(labels.unread.iter().map(|key| &**key))
        });
        let annotations = self.annotations.iter().flat_map(Annotations::keys);
        UnreadKey::of_workload(owner, KeyPlace::Labels, labels).chain(UnreadKey::of_workload(
            owner,
            KeyPlace::Annotations,
            annotations,
        ))
    }
}

// === impl Labels ===

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = <&RawValue>::deserialize(deserializer)?;
        let known = serde_json::from_str(all.get()).map_err(serde::de::Error::custom)?;
        let KnownLabels { libc, rollout, istio_mode, unread } = known;
        Ok(Self { libc, rollout, istio_mode, unread, all })
    }
}

// === impl KnownLabels ===

impl<'de: 'a, 'a> Deserialize<'de> for KnownLabels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = KnownLabels<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut labels = KnownLabels::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match &*key {
                        LIBC_LABEL => labels.libc = map.next_value()?,
                        ROLLOUT_KEY => labels.rollout = map.next_value()?,
                        ISTIO_MODE_LABEL => labels.istio_mode = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            keep_unread(&mut labels.unread, &key);
                        }
                    }
                }
                Ok(labels)
            }
        }

        deserializer.deserialize_map(LabelsVisitor)
    }
}

// === impl LabelMap ===

impl<'de> Deserialize<'de> for LabelMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        charged::map(deserializer).map(Self)
    }
}

// === impl Container ===

impl Container<'_> {
    /// Returns the image reference; empty if the container has none.
    pub fn image(&self) -> &str {
        self.image.as_deref().unwrap_or_default()
    }

    /// Returns all environment variables, which a command may refer to.
    pub fn variables(&self) -> Variables {
        self.env.json.map(Variables::of_json).unwrap_or_default()
    }

    /// Returns the first word of `command`, which starts another program than the image's own; `None` without a command.
    pub fn started(&self) -> Option<String> {
        let words = self.command?.get().trim_start().strip_prefix('[')?.trim_start();
        if words.starts_with(']') {
            return None;
        }
        // Only the first word is read, because the list can be long. The API server accepts strings only.
        let first: String = serde_json::Deserializer::from_str(words).into_iter().next()?.unwrap_or_default();
        if !has_reference(&first) {
            return Some(first);
        }
        Some(self.variables().expand(&first).map(Cow::into_owned).unwrap_or_default())
    }
}

impl PartialEq for Container<'_> {
    fn eq(&self, other: &Self) -> bool {
        let Self { name, image, command, args, working_dir, env } = self;
        (name, image, working_dir, env) == (&other.name, &other.image, &other.working_dir, &other.env)
            && command.map(RawValue::get) == other.command.map(RawValue::get)
            && args.map(RawValue::get) == other.args.map(RawValue::get)
    }
}
