//! Where the nameservers of a node come from: a file, a line and the program that reads it, as plain values, and the sentences about
//! them. Must not know which files there are: that is [`crate::origins`].

use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

/// The result of a search through a node's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NameserverOrigins {
    /// The folder below which the node's files were read.
    pub root: String,
    /// The file whose nameservers pods with the DNS policy `Default` get, CoreDNS among them.
    pub resolv_conf: String,
    /// The setting that names this file; `None` if nothing names it, and the kubelet takes its default.
    pub resolv_conf_from: Option<Place>,
    /// The nameservers of this file.
    pub nameservers: Vec<IpAddr>,
    /// All places that name a nameserver.
    pub origins: Vec<Origin>,
    /// Facts about this node that explain the result.
    pub notes: Vec<String>,
    /// Files that exist and were not read.
    pub unread: Vec<UnreadFile>,
}

/// One place that names one nameserver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Origin {
    /// The nameserver.
    pub address: IpAddr,
    /// The place in the node's files.
    #[serde(flatten)]
    pub place: Place,
    /// The program that reads the file, such as `resolvconf`.
    pub mechanism: &'static str,
    /// The setting: `nameserver`, `DNS=`, `dns-nameservers`.
    pub setting: String,
    /// The state after a reboot.
    pub persistence: Persistence,
    /// The address is in the node's resolv.conf now; `None` for an address that is not meant for that file.
    pub in_use: Option<bool>,
    /// A condition, or the reason why the place has no effect.
    pub note: Option<String>,
    /// The steps that remove the address, in order.
    pub steps: Vec<String>,
}

/// A file, and a line in it if it has lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Place {
    /// The path on the node.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
}

/// The state of an address after a reboot. The first ones are the more useful to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Persistence {
    /// Configuration on disk.
    Stored,
    /// A DHCP server's answer.
    Leased,
    /// Set at run time, in memory only.
    Runtime,
    /// Written by a program from other places.
    Derived,
    /// Not in effect; the note says why.
    NoEffect,
}

/// A file that exists and was not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnreadFile {
    /// The path on the node.
    pub file: String,
    /// The reason.
    pub because: String,
}

/// The most origins that a verdict names for one address.
const SENTENCES_MAX: usize = 3;

// === impl NameserverOrigins ===

impl NameserverOrigins {
    /// Returns the places that name an address, the most useful to change first.
    pub fn of(&self, address: IpAddr) -> Vec<&Origin> {
        let mut of: Vec<&Origin> = self.origins.iter().filter(|origin| origin.address == address).collect();
        of.sort_by_key(|origin| origin.persistence);
        of
    }

    /// Returns the addresses that are named anywhere: those in use first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = self.nameservers.clone();
        addresses.extend(self.origins.iter().map(|origin| origin.address));
        let mut seen = std::collections::BTreeSet::new();
        addresses.retain(|address| seen.insert(*address));
        addresses
    }

    /// Returns sentences on where an address comes from and what to change.
    pub(super) fn advice(&self, address: IpAddr) -> Vec<String> {
        let of = self.of(address);
        let sources: Vec<&&Origin> = of.iter().filter(|origin| origin.is_source()).collect();
        if !sources.is_empty() {
            return sources.into_iter().take(SENTENCES_MAX).map(ToString::to_string).collect();
        }
        let derived = of.first().map(|origin| {
            format!("{origin}; none of the files read below {} gives it to {}", self.root, origin.mechanism)
        });
        derived.into_iter().collect()
    }
}

// === impl Origin ===

impl Origin {
    /// Returns whether a change at this place removes the address.
    pub fn is_source(&self) -> bool {
        !matches!(self.persistence, Persistence::Derived | Persistence::NoEffect)
    }

    /// Returns the state after a reboot, in words that follow a subject.
    pub fn after_a_reboot(&self) -> &'static str {
        match (self.persistence, self.in_use) {
            (Persistence::Stored, Some(false)) => "is not in resolv.conf now, and can come back after a reboot",
            (Persistence::Stored, _) => "comes back after a reboot",
            (Persistence::Leased, _) => "comes back after a reboot if the DHCP server still gives it",
            (Persistence::Runtime, _) => "is gone after a reboot",
            (Persistence::Derived, _) => "is written again from other places",
            (Persistence::NoEffect, _) => "has no effect",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, place, mechanism, steps, note, .. } = self;
        write!(f, "`{address}` comes from {place} ({mechanism}); it {}", self.after_a_reboot())?;
        if let Some(note) = note {
            write!(f, " ({note})")?;
        }
        if !steps.is_empty() {
            write!(f, "; {}", steps.join(", then "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line } = self;
        match line {
            Some(line) => write!(f, "{file} line {line}"),
            None => f.write_str(file),
        }
    }
}
