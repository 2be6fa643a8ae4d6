//! A mechanism by which a node gets nameservers, and what it found. Must not know which mechanisms exist.

use std::net::IpAddr;

use super::tree::{NodeFile, Tree};
use crate::verdicts::nameserver_origins::{Origin, Persistence, Place, UnreadFile};

/// One program, or a group of programs, that names nameservers.
pub(super) struct Mechanism {
    /// The name in messages.
    pub(super) name: &'static str,
    /// Patterns of the files to read, in lists.
    pub(super) files: &'static [&'static [&'static str]],
    /// Paths of which one exists where the program is installed; none if that cannot be seen.
    pub(super) programs: &'static [&'static str],
    /// Returns patterns of further files, which those read so far name.
    pub(super) further: fn(&Tree) -> Vec<String>,
    /// Finds what the files name.
    pub(super) search: fn(&Tree, &mut Found),
}

/// The places that one mechanism names.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) mechanism: &'static str,
    pub(super) origins: Vec<Origin>,
    pub(super) notes: Vec<String>,
    pub(super) unread: Vec<UnreadFile>,
}

/// The change to a file by an editor.
pub(super) const THERE: &str = "change it there";
/// The last step for every address that CoreDNS inherits: it reads the file that its pod got when it was created.
pub(super) const RESTART_COREDNS: &str = "restart CoreDNS";

/// For mechanisms whose files name no others.
pub(super) fn no_further(_: &Tree) -> Vec<String> {
    Vec::new()
}

// === impl Found ===

impl Found {
    /// Adds one place, and the steps that lead from a change of it to CoreDNS.
    pub(super) fn add(
        &mut self,
        (file, line): (&NodeFile, Option<usize>),
        setting: &str,
        address: IpAddr,
        persistence: Persistence,
        steps: &[&str],
    ) -> &mut Origin {
        let steps = steps.iter().copied().chain([RESTART_COREDNS]).map(str::to_owned).collect();
        self.origins.push(Origin {
            address,
            place: Place { file: file.path.clone(), line },
            mechanism: self.mechanism,
            setting: setting.to_owned(),
            persistence,
            in_use: Some(false),
            note: None,
            steps,
        });
        let last = self.origins.len() - 1;
        &mut self.origins[last]
    }

    /// Adds a place in a file that a program writes from others.
    pub(super) fn add_derived(
        &mut self,
        at: (&NodeFile, Option<usize>),
        setting: &str,
        address: IpAddr,
    ) -> &mut Origin {
        let origin = self.add(at, setting, address, Persistence::Derived, &[]);
        origin.steps.clear();
        origin
    }

    /// Notes a file that cannot be understood.
    pub(super) fn add_unread(&mut self, file: &NodeFile, because: impl Into<String>) {
        self.unread.push(UnreadFile { file: file.path.clone(), because: because.into() });
    }
}

/// Returns whether cloud-init wrote a file: the head says so, or the name (cloudinit/net/sysconfig.py, `Created by cloud-init on
/// instance boot automatically, do not edit.`; cloudinit/distros/debian.py, `generated from information provided by the datasource`;
/// cloudinit/net/network_manager.py, `cloud-init-*.nmconnection`).
pub(super) fn cloud_init_wrote(file: &NodeFile) -> bool {
    let text = file.text();
    let mut head = text.lines().take(10).filter(|line| line.trim_start().starts_with(['#', ';']));
    file.name().contains("cloud-init")
        || head.any(|line| line.contains("cloud-init") || line.contains("provided by the datasource"))
}

/// The first step for a file that cloud-init wrote.
pub(super) const CLOUD_INIT_STEP: &str =
    "change the network data that cloud-init gets, which writes this file for each new instance";

/// Returns the first step for a file: cloud-init's, or the edit.
pub(super) fn first_step(file: &NodeFile) -> &'static str {
    if cloud_init_wrote(file) { CLOUD_INIT_STEP } else { THERE }
}

/// Sorts out files of equal names in several folders, of which only the one in the first folder counts (systemd.syntax(7),
/// netplan-generate(8)). Returns the files in the order of their names, each with the file that hides it.
pub(super) fn overridden<'t>(tree: &'t Tree, patterns: &[&str]) -> Vec<(&'t NodeFile, Option<&'t NodeFile>)> {
    let files = tree.matching(patterns);
    let mut sorted: Vec<&NodeFile> = files.clone();
    sorted.sort_by(|a, b| a.name().cmp(b.name()));
    let first = |file: &NodeFile| files.iter().copied().find(|other| other.name() == file.name());
    sorted.into_iter().map(|file| (file, first(file).filter(|first| first.path != file.path))).collect()
}

/// Notes on an origin that a file of the same name hides: until the next reboot if that file is in `/run`.
pub(super) fn note_hidden(origin: &mut Origin, by: Option<&NodeFile>) {
    let Some(by) = by else { return };
    if by.path.starts_with("/run/") {
        origin.note = Some(format!("{} hides this file until the next reboot", by.path));
    } else {
        origin.persistence = Persistence::NoEffect;
        origin.note = Some(format!("{} replaces this file", by.path));
        origin.steps.clear();
    }
}
