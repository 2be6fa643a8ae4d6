//! Parsers for resolv.conf, nsswitch.conf and CoreDNS's Corefile, as far as all their readers agree. [`crate::resolver`] knows
//! where resolvers differ. Must not know where the files are.

use schemars::JsonSchema;
use serde::Serialize;

/// The contents of resolv.conf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ResolvConf {
    /// The nameservers, as written.
    pub nameservers: Vec<String>,
    /// The last `search` or `domain` line.
    pub search: Vec<String>,
    /// The words of all `options` lines.
    pub options: Vec<String>,
}

/// The `hosts` line of nsswitch.conf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Nsswitch {
    /// The sources in order, without the actions in brackets between them.
    pub hosts: Vec<String>,
}

/// Returns where a Corefile forwards names that it does not know: addresses, or a file such as `/etc/resolv.conf` (CoreDNS:
/// plugin/forward, `forward FROM TO...`).
pub fn forwards_to(corefile: &str) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    for line in corefile.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        if words.next() == Some("forward") && words.next() == Some(".") {
            targets.extend(words.take_while(|word| !word.starts_with('{')).map(str::to_owned));
        }
    }
    targets
}

// === impl ResolvConf ===

impl ResolvConf {
    /// Parses the file's text. A comment is a whole line.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
            let mut words = line.split_ascii_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => conf.nameservers.extend(words.next()),
                Some("search") => conf.search = words.collect(),
                Some("domain") => conf.search = words.take(1).collect(),
                Some("options") => conf.options.extend(words),
                _ => {}
            }
        }
        conf
    }

    /// Returns the options as string slices.
    pub(super) fn option_texts(&self) -> Vec<&str> {
        self.options.iter().map(String::as_str).collect()
    }

    /// Returns the search list as string slices.
    pub(super) fn search_texts(&self) -> Vec<&str> {
        self.search.iter().map(String::as_str).collect()
    }
}

// === impl Nsswitch ===

impl Nsswitch {
    /// Parses the file's text; `None` if it has no `hosts` line.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix("hosts:"))?;
        let line = line.split('#').next().unwrap_or_default();
        let (mut hosts, mut in_action) = (Vec::new(), false);
        for word in line.split_ascii_whitespace() {
            in_action |= word.starts_with('[');
            if !in_action {
                hosts.push(word.to_owned());
            }
            in_action &= !word.ends_with(']');
        }
        Some(Self { hosts })
    }

    /// Returns the sources besides the hosts file and the nameservers of resolv.conf: daemons and modules.
    pub(super) fn other_sources(&self) -> Vec<&str> {
        self.hosts.iter().map(String::as_str).filter(|source| !matches!(*source, "files" | "dns")).collect()
    }

    /// Returns whether the nameservers of resolv.conf are used at all.
    pub(super) fn uses_dns(&self) -> bool {
        self.hosts.iter().any(|source| source == "dns" || source == "resolve")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_kubelets_file() {
        let conf = ResolvConf::parse(
            "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5 timeout:5\n",
        );
        assert_eq!(conf.nameservers, ["10.96.0.10"]);
        assert_eq!(conf.search, ["default.svc.cluster.local", "svc.cluster.local"]);
        assert_eq!(conf.options, ["ndots:5", "timeout:5"]);
    }

    #[test]
    fn uses_the_last_search_line_and_skips_comments() {
        let conf = ResolvConf::parse("# nameserver 1.1.1.1\nsearch a b\n;search d\ndomain c e\nnameserver\n");
        assert_eq!((conf.nameservers.len(), conf.search), (0, vec!["c".to_owned()]));
    }

    #[test]
    fn finds_servers_and_files_that_a_corefile_forwards_to() {
        let corefile = "example.com:53 {\n forward example.com 192.0.2.1\n}\n.:53 {\n  errors # forward . x\n  forward . \
                        192.0.2.7 tls://192.0.2.8 {\n max_concurrent 1000\n }\n}\n";
        assert_eq!(forwards_to(corefile), ["192.0.2.7", "tls://192.0.2.8"]);
        assert_eq!(forwards_to("forward . /etc/resolv.conf"), ["/etc/resolv.conf"]);
    }

    #[test]
    fn leaves_out_the_actions() {
        let text = "passwd: files\nhosts: files resolve [!UNAVAIL=return NOTFOUND=continue] dns myhostname # end\n";
        let nsswitch = Nsswitch::parse(text).unwrap();
        assert_eq!(nsswitch.hosts, ["files", "resolve", "dns", "myhostname"]);
        assert_eq!(nsswitch.other_sources(), ["resolve", "myhostname"]);
        assert_eq!(Nsswitch::parse("passwd: files\n"), None);
    }
}
