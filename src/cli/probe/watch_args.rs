//! The arguments of `muslin probe --watch`.

use std::time::Duration;

use clap::Args;

use crate::cli::bind::Bind;
use crate::cli::kubectl_names::{parse_label, parse_name};
use crate::cluster::DnsDeployment;

/// The arguments of a watch.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Probe until a signal ends it: a small round each interval, a full probe at the start and when two rounds show a symptom. Prints each
    /// verdict as it begins, found by two full probes, and as it ends
    #[arg(long, group = "in_cluster", conflicts_with_all = ["pid", "binary", "origins_only", "no_getaddrinfo", "lookup_program", "timeout",
          "max_queries", "pairs", "burst", "fail_on", "look_up"])]
    pub(super) watch: bool,

    /// Time between two rounds: 30s, 500ms or 1m. At 30s at most 7,200 queries are sent in an hour; the limit grows as this time shrinks
    #[arg(long, value_name = "TIME", default_value = "30s", requires = "watch", value_parser = interval)]
    pub(super) interval: Duration,

    /// Address and port, or a port of every address, of /metrics, /healthz and /readyz (HTTP) [default: none]
    #[arg(long, value_name = "ADDRESS", requires = "watch")]
    pub(super) metrics_bind: Option<Bind>,

    /// The node: --watch writes a DNSObservation of this name, and Events about verdicts. Without a node it only prints [default: $NODE_NAME]
    #[arg(long, value_name = "NAME", requires = "watch", value_parser = parse_name)]
    pub(super) node: Option<String>,

    /// The Deployment of the cluster's DNS, for the Events of --watch [default: coredns, rke2-coredns-rke2-coredns or kube-dns in kube-system]
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "watch", value_parser = dns_deployment)]
    pub(super) dns_deployment: Option<DnsDeployment>,

    /// Only print, and write nothing to a cluster
    #[arg(long, requires = "watch")]
    pub(super) no_cluster: bool,
}

/// The variable with the node's name, as in muslin's manifests. Only a watch reads it: in the pods of others it may be anything.
const NODE: &str = "NODE_NAME";

/// The limits of the interval. Verdicts wait for several rounds, so that a longer one would not be a watch.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(600);

// === impl WatchArgs ===

impl WatchArgs {
    /// Returns the name of the node, from the arguments or the environment.
    ///
    /// # Errors
    /// The environment's is no name.
    pub(super) fn node(&self) -> anyhow::Result<Option<String>> {
        let given = || std::env::var(NODE).ok().filter(|name| !name.is_empty());
        match self.node.clone().or_else(given) {
            Some(name) => parse_name(&name).map(Some).map_err(|error| anyhow::anyhow!("{NODE}={name}: {error}")),
            None => Ok(None),
        }
    }
}

fn dns_deployment(text: &str) -> Result<DnsDeployment, &'static str> {
    let (namespace, name) = text.split_once('/').ok_or("not a namespace and a name such as kube-system/coredns")?;
    Ok(DnsDeployment { namespace: parse_label(namespace)?, name: parse_name(name)? })
}

fn interval(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 3] = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let unit = UNITS.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let time =
        unit.and_then(|(number, factor)| number.parse::<u64>().ok()?.checked_mul(factor)).map(Duration::from_millis);
    match time {
        Some(time) if (INTERVAL_MIN..=INTERVAL_MAX).contains(&time) => Ok(time),
        Some(_) => Err("use a time between 100ms and 10m".to_owned()),
        None => Err("not a time such as 30s, 500ms or 1m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_has_a_namespace_and_a_name() {
        let found = dns_deployment("dns/coredns").unwrap();
        assert_eq!((&*found.namespace, &*found.name), ("dns", "coredns"));
        for text in ["", "coredns", "/coredns", "dns/", "dns/a/b", "Dns/coredns", "dns/Coredns"] {
            assert!(dns_deployment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_interval_has_a_number_and_a_unit_within_limits() {
        assert_eq!(interval("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("10m"), Ok(Duration::from_secs(600)));
        for text in ["", "30", "s", "-1s", "1.5s", "30 s", "1h", "ms"] {
            assert!(interval(text).is_err_and(|error| error.starts_with("not a time")), "{text}");
        }
        for text in ["0s", "99ms", "11m", "18446744073709551615s"] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
