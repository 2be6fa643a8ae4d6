//! The text of resolv.conf, nsswitch.conf and CoreDNS's Corefile, read as far as all who read them agree on it. Where they differ, the lists below
//! `resolver` say how. Must not know where the files stand.

use serde::Serialize;

/// What resolv.conf says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ResolvConf {
    /// The nameservers, as they stand there.
    pub nameservers: Vec<String>,
    /// The last `search` or `domain` line.
    pub search: Vec<String>,
    /// The words of all `options` lines.
    pub options: Vec<String>,
}

/// What nsswitch.conf says of hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nsswitch {
    /// The sources, in their order, without the actions in brackets between them.
    pub hosts: Vec<String>,
}

/// To whom a Corefile forwards all names that it does not know itself: addresses, or a file such as `/etc/resolv.conf`
/// (CoreDNS: plugin/forward, `forward FROM TO...`).
pub fn forwards_to(corefile: &str) -> Vec<String> {
    let mut to: Vec<String> = Vec::new();
    for line in corefile.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        if words.next() == Some("forward") && words.next() == Some(".") {
            to.extend(words.take_while(|word| !word.starts_with('{')).map(str::to_owned));
        }
    }
    to
}

// === impl ResolvConf ===

impl ResolvConf {
    /// Reads the file's text. A comment fills its line; a resolver that is given no nameserver asks the local host.
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

    /// The options, each borrowed.
    pub fn option_texts(&self) -> Vec<&str> {
        self.options.iter().map(String::as_str).collect()
    }

    /// The search list, each name borrowed.
    pub fn search_texts(&self) -> Vec<&str> {
        self.search.iter().map(String::as_str).collect()
    }
}

// === impl Nsswitch ===

impl Nsswitch {
    /// Reads the file's text; `None` where it does not speak of hosts.
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

    /// The sources besides the hosts file and the nameservers of resolv.conf: a daemon or a module that knows more.
    pub fn others(&self) -> Vec<&str> {
        self.hosts.iter().map(String::as_str).filter(|source| !matches!(*source, "files" | "dns")).collect()
    }

    /// Whether the nameservers of resolv.conf are asked at all.
    pub fn asks_dns(&self) -> bool {
        self.hosts.iter().any(|source| source == "dns" || source == "resolve")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kubelet_writes() {
        let conf = ResolvConf::parse(
            "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5 timeout:5\n",
        );
        assert_eq!(conf.nameservers, ["10.96.0.10"]);
        assert_eq!(conf.search, ["default.svc.cluster.local", "svc.cluster.local"]);
        assert_eq!(conf.options, ["ndots:5", "timeout:5"]);
    }

    #[test]
    fn the_last_search_line_counts_and_comments_do_not() {
        let conf = ResolvConf::parse("# nameserver 1.1.1.1\nsearch a b\n;search d\ndomain c e\nnameserver\n");
        assert_eq!((conf.nameservers.len(), conf.search), (0, vec!["c".to_owned()]));
    }

    #[test]
    fn a_corefile_forwards_to_servers_or_to_a_file() {
        let corefile = "example.com:53 {\n forward example.com 192.0.2.1\n}\n.:53 {\n  errors # forward . x\n  forward . \
                        192.0.2.7 tls://192.0.2.8 {\n max_concurrent 1000\n }\n}\n";
        assert_eq!(forwards_to(corefile), ["192.0.2.7", "tls://192.0.2.8"]);
        assert_eq!(forwards_to("forward . /etc/resolv.conf"), ["/etc/resolv.conf"]);
    }

    #[test]
    fn actions_are_no_sources() {
        let text = "passwd: files\nhosts: files resolve [!UNAVAIL=return NOTFOUND=continue] dns myhostname # end\n";
        let nsswitch = Nsswitch::parse(text).unwrap();
        assert_eq!(nsswitch.hosts, ["files", "resolve", "dns", "myhostname"]);
        assert_eq!(nsswitch.others(), ["resolve", "myhostname"]);
        assert_eq!(Nsswitch::parse("passwd: files\n"), None);
    }
}
