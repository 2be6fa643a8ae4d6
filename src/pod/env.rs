//! The environment variables of a container that change how it resolves names. All others are skipped without being parsed, because an
//! environment can be large and must cost no memory.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::env_entry::Variable;
use super::expansion::{Variables, has_reference};
use super::text::Text;
use crate::budget::{Exceeded, Work, charge};

/// The variable that makes Istio's sidecar take the pod's DNS queries.
pub(crate) const MESH_PROXY_VARIABLE: &str = "ISTIO_META_DNS_CAPTURE";

/// The variables that change how a program resolves names, whatever its image. `PATH` only chooses the program.
pub(crate) const RESOLVER_VARIABLES: [&str; 4] = ["GODEBUG", "RES_OPTIONS", "LOCALDOMAIN", MESH_PROXY_VARIABLE];

/// The values of the variables that matter, with references to other variables replaced as the kubelet does. A value that only the cluster
/// knows (`valueFrom`, also by a reference to such a variable) is unknown and counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolverEnv<'a> {
    /// `GODEBUG`, in which `netdns=go` or `netdns=cgo` chooses Go's resolver (Go: src/net/conf.go).
    pub godebug: Option<Cow<'a, str>>,
    /// `RES_OPTIONS`, the options that glibc and c-ares read after those of resolv.conf (glibc: resolv/res_init.c; c-ares:
    /// src/lib/ares_sysconfig_files.c).
    pub res_options: Option<Cow<'a, str>>,
    /// `LOCALDOMAIN`, the search list that glibc uses in place of resolv.conf's (glibc: resolv/res_init.c).
    pub local_domain: Option<Cow<'a, str>>,
    /// `PATH`, the directories with commands.
    pub path: Option<Cow<'a, str>>,
    /// `ISTIO_META_DNS_CAPTURE`, which makes Istio's sidecar take the pod's DNS queries. The injector writes the mesh's `proxyMetadata` into
    /// the sidecar's environment (istio `manifests/charts/istio-control/istio-discovery/files/injection-template.yaml`).
    pub istio_dns_capture: Option<Cow<'a, str>>,
    /// All variables as JSON, for references.
    pub(super) json: Option<&'a str>,
}

// === impl ResolverEnv ===

impl<'a> ResolverEnv<'a> {
    /// Returns the value of a variable by its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = match name {
            "GODEBUG" => &self.godebug,
            "RES_OPTIONS" => &self.res_options,
            "LOCALDOMAIN" => &self.local_domain,
            "PATH" => &self.path,
            MESH_PROXY_VARIABLE => &self.istio_dns_capture,
            _ => &None,
        };
        value.as_deref()
    }

    /// Replaces references to other variables of the container.
    fn expand_references(&mut self) {
        let Self { godebug, res_options, local_domain, path, istio_dns_capture, json } = self;
        let values = [
            ("GODEBUG", godebug),
            ("RES_OPTIONS", res_options),
            ("LOCALDOMAIN", local_domain),
            ("PATH", path),
            (MESH_PROXY_VARIABLE, istio_dns_capture),
        ];
        let mut variables = None;
        for (name, value) in values {
            if value.as_deref().is_some_and(has_reference) {
                let all = variables.get_or_insert_with(|| json.map(Variables::of_json).unwrap_or_default());
                *value = all.get(name).map(|text| Cow::Owned(text.to_owned()));
                let _ = charge_words(value.as_deref().unwrap_or_default());
            }
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Cow<'a, str>>> {
        match name {
            "GODEBUG" => Some(&mut self.godebug),
            "RES_OPTIONS" => Some(&mut self.res_options),
            "LOCALDOMAIN" => Some(&mut self.local_domain),
            "PATH" => Some(&mut self.path),
            MESH_PROXY_VARIABLE => Some(&mut self.istio_dns_capture),
            _ => None,
        }
    }
}

/// Charges the words of a value, which are options, search domains, folders or settings.
fn charge_words(value: &str) -> Result<(), Exceeded> {
    charge(Work::Option, value.split([' ', '\t', '\n', ':', ',']).count())
}

impl<'de: 'a, 'a> Deserialize<'de> for ResolverEnv<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvVisitor;

        impl<'de> Visitor<'de> for EnvVisitor {
            type Value = ResolverEnv<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of environment variables")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(ResolverEnv::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut variables: A) -> Result<Self::Value, A::Error> {
                let mut env = ResolverEnv::default();
                while let Some(Variable { name, value, value_from: _ }) = variables.next_element()? {
                    let Some(slot) = name.as_deref().and_then(|name| env.slot(name)) else { continue };
                    let value: Option<Option<Text<'de>>> =
                        value.map(|raw| serde_json::from_str(raw.get())).transpose().map_err(A::Error::custom)?;
                    // The last of a name counts, as in a process's environment.
                    *slot = value.flatten().map(Text::into_inner);
                    let _ = charge_words(slot.as_deref().unwrap_or_default());
                }
                Ok(env)
            }
        }

        let all = <&RawValue>::deserialize(deserializer)?;
        let known = serde_json::Deserializer::from_str(all.get()).deserialize_any(EnvVisitor);
        let mut env = Self { json: Some(all.get()), ..known.map_err(D::Error::custom)? };
        env.expand_references();
        Ok(env)
    }
}
