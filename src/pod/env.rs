//! The environment variables of a container that change how it resolves names. All others are walked over unread: an
//! environment can be large, and none of it may cost memory.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Text;
use super::object::objects;

/// The values of the variables that matter, as written in the pod. One that comes from a reference (`valueFrom`) is not known
/// and counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResolverEnv<'a> {
    /// `GODEBUG`, in which `netdns=go` or `netdns=cgo` chooses Go's resolver (Go: src/net/conf.go).
    pub godebug: Option<Cow<'a, str>>,
    /// `RES_OPTIONS`, options that glibc reads after those of resolv.conf (glibc: resolv/res_init.c).
    pub res_options: Option<Cow<'a, str>>,
    /// `LOCALDOMAIN`, a search list that glibc takes in place of resolv.conf's (glibc: resolv/res_init.c).
    pub local_domain: Option<Cow<'a, str>>,
    /// `PATH`, where the command is looked for.
    pub path: Option<Cow<'a, str>>,
}

// === impl ResolverEnv ===

impl<'a> ResolverEnv<'a> {
    /// The value of one of them, by its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = match name {
            "GODEBUG" => &self.godebug,
            "RES_OPTIONS" => &self.res_options,
            "LOCALDOMAIN" => &self.local_domain,
            "PATH" => &self.path,
            _ => &None,
        };
        value.as_deref()
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<Cow<'a, str>>> {
        match name {
            "GODEBUG" => Some(&mut self.godebug),
            "RES_OPTIONS" => Some(&mut self.res_options),
            "LOCALDOMAIN" => Some(&mut self.local_domain),
            "PATH" => Some(&mut self.path),
            _ => None,
        }
    }
}

/// One of `env`. The value stays raw until its name is known to matter: unescaping it would copy it.
#[derive(Deserialize)]
#[serde(remote = "Self")]
struct Variable<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

objects! { Variable }

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
                while let Some(Variable { name, value }) = variables.next_element()? {
                    let Some(slot) = name.as_deref().and_then(|name| env.slot(name)) else { continue };
                    let value: Option<Option<Text<'de>>> =
                        value.map(|raw| serde_json::from_str(raw.get())).transpose().map_err(A::Error::custom)?;
                    // As in a process's environment, the last of a name wins.
                    *slot = value.flatten().map(Text::into_inner);
                }
                Ok(env)
            }
        }

        deserializer.deserialize_any(EnvVisitor)
    }
}
