//! The page about an alert of `manifests/monitoring`, which is written by hand in `docs/alerts`.

/// An alert.
#[derive(Debug, PartialEq, Eq)]
pub struct Alert {
    pub(super) name: &'static str,
    page: &'static str,
}

macro_rules! alerts {
    ($($name:literal),* $(,)?) => {
        [$(Alert { name: $name, page: include_str!(concat!("../../docs/alerts/", $name, ".md")) }),*]
    };
}

/// All alerts; a test compares them with the manifest.
pub(super) static ALERTS: [Alert; 16] = alerts![
    "MuslinIsGone",
    "MuslinMissesPods",
    "MuslinApiServerFailsOpen",
    "MuslinCertificateExpires",
    "MuslinIsSlow",
    "MuslinFails",
    "MuslinWatchBroken",
    "MuslinInspectionsGivenUp",
    "MuslinCannotWriteEvents",
    "MuslinRefusesConnections",
    "MuslinSearchDomainBroken",
    "MuslinNodeLocalUnreachable",
    "MuslinProfileRolledBack",
    "MuslinDnsFault",
    "MuslinDnsFaultOnManyNodes",
    "MuslinDnsWatchStopped",
];

// === impl Alert ===

impl Alert {
    /// Returns the page without its link to the list.
    pub(super) fn page(&self) -> String {
        let page = self.page.trim_end();
        let page = page.strip_suffix("[All alerts](README.md)").unwrap_or(page);
        format!("{}\n", page.trim_end())
    }

    /// Returns the first sentence of the page.
    pub(super) fn summary(&self) -> String {
        let paragraph = self.page.split("\n\n").nth(1).unwrap_or_default().replace('\n', " ");
        paragraph.split_once(". ").map_or(paragraph.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
    }
}
