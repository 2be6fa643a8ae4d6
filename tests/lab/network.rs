//! The laboratory's network: a client, a router and the addresses of servers, each in a network namespace of its own. All
//! addresses are reserved for documentation or private, and exist inside these namespaces only. Knows nothing of DNS but its
//! port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Result;

use crate::lab::client::Client;
use crate::lab::namespace::Namespace;
use crate::lab::process::Process;
use crate::lab::server::{Script, Server};
use crate::lab::world::World;

/// Where lookups come from.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 2);

/// The nameserver of a cluster, for [`Lab::balance`].
pub(crate) const CLUSTER_DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// Every address of 198.51.100.0/24 is a server's, if one is started there; at all others nobody listens, and says so.
pub(crate) const fn server(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, number)
}

/// The same in 2001:db8:2::/64.
pub(crate) const fn server_v6(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, number)
}

/// A network of its own: client — router — servers.
pub(crate) struct Lab<'w> {
    pub(crate) world: &'w World,
    client: Namespace,
    router: Namespace,
    servers: Arc<Namespace>,
}

// === impl Lab ===

impl<'w> Lab<'w> {
    pub(crate) fn new(world: &'w World) -> Result<Self> {
        let lab =
            Self { world, client: Namespace::new()?, router: Namespace::new()?, servers: Arc::new(Namespace::new()?) };
        let Self { client, router, servers, .. } = &lab;
        // Addresses are used at once: no test waits for their detection as duplicates.
        let links = format!(
            "link set lo up
             link add clients type veth peer name eth0 netns {}
             link add servers type veth peer name eth0 netns {}
             addr add 172.30.0.1/25 dev clients
             addr add 2001:db8:1::1/64 dev clients nodad
             addr add 172.30.0.129/25 dev servers
             addr add 2001:db8:3::1/64 dev servers nodad
             link set clients up
             link set servers up
             route add 198.51.100.0/24 via 172.30.0.130
             route add 2001:db8:2::/64 via 2001:db8:3::2",
            client.path(),
            servers.path(),
        );
        batch(router, &links)?;
        batch(
            client,
            "link set lo up
             addr add 172.30.0.2/25 dev eth0
             addr add 2001:db8:1::2/64 dev eth0 nodad
             link set eth0 up
             route add default via 172.30.0.1
             route add default via 2001:db8:1::1",
        )?;
        batch(
            servers,
            "link set lo up
             addr add 172.30.0.130/25 dev eth0
             addr add 2001:db8:3::2/64 dev eth0 nodad
             link set eth0 up
             route add default via 172.30.0.129
             route add default via 2001:db8:3::1
             route add local 198.51.100.0/24 dev lo
             route add local 2001:db8:2::/64 dev lo",
        )?;
        // A route makes an IPv4 address one's own; an IPv6 address has to be allowed besides.
        servers.set("net/ipv6/ip_nonlocal_bind", "1")?;
        router.set("net/ipv4/ip_forward", "1")?;
        router.set("net/ipv6/conf/all/forwarding", "1")?;
        // Rules can then ask how many packets of a connection they have seen.
        router.set("net/netfilter/nf_conntrack_acct", "1")?;
        lab.nft(
            "table inet lab {
                 chain translate { type nat hook prerouting priority dstnat; }
                 chain forward { type filter hook forward priority filter; }
             }",
        )?;
        Ok(lab)
    }

    /// A scripted server at an address ([`server`]).
    pub(crate) fn server(&self, address: impl Into<IpAddr>, script: Script) -> Result<Server> {
        Server::start(self.world.runtime.handle(), &self.servers, address.into(), script)
    }

    /// Somebody with this `/etc/resolv.conf`. All clients have one address; each has its own files.
    pub(crate) fn client(&self, resolv_conf: &str) -> Result<Client<'_>> {
        Client::new(&self.client, resolv_conf)
    }

    /// A program that runs where the servers are.
    pub(crate) fn program(
        &self,
        program: &str,
        arguments: impl FnOnce(&std::path::Path) -> Result<Vec<String>>,
    ) -> Result<Process> {
        Process::start(Arc::clone(&self.servers), program, arguments)
    }

    /// Gives the router a rule for what it forwards, in nft's words: `udp dport 53 drop`,
    /// `ip daddr 198.51.100.1 tcp dport 53 reject with tcp reset`, `udp dport 53 numgen random mod 100 < 5 drop`.
    pub(crate) fn forward(&self, rule: &str) -> Result<()> {
        self.nft(&format!("add rule inet lab forward {rule}"))
    }

    /// Spreads what is sent to `service` over its backends, a connection at a time and at random, as kube-proxy does.
    pub(crate) fn balance(&self, service: Ipv4Addr, backends: &[Ipv4Addr]) -> Result<()> {
        let map: Vec<String> =
            backends.iter().enumerate().map(|(index, address)| format!("{index} : {address}")).collect();
        let map = map.join(", ");
        let spread = format!("numgen random mod {} map {{ {map} }}", backends.len());
        self.nft(&format!("add rule inet lab translate ip daddr {service} dnat ip to {spread}"))
    }

    /// Sends every query by UDP to `server`, whatever address it was for, as a transparent proxy does.
    pub(crate) fn intercept(&self, server: Ipv4Addr) -> Result<()> {
        self.nft(&format!("add rule inet lab translate meta nfproto ipv4 udp dport 53 dnat ip to {server}"))
    }

    /// Drops the second packet of each UDP connection that has no answer yet: what kernels before 5.6 do to one of two
    /// queries that leave a socket together. Newer kernels do not lose it (dns-lab, section 9), so it is emulated.
    pub(crate) fn race(&self, server: impl Into<IpAddr>) -> Result<()> {
        let family = match server.into() {
            IpAddr::V4(address) => format!("ip daddr {address}"),
            IpAddr::V6(address) => format!("ip6 daddr {address}"),
        };
        self.forward(&format!("{family} udp dport 53 ct state new ct original packets 2 counter drop"))
    }

    /// The connections that the router tracks, a line each.
    pub(crate) fn connections(&self) -> Result<String> {
        self.router.run("conntrack", &["-L"], "")
    }

    fn nft(&self, text: &str) -> Result<()> {
        self.router.run("nft", &["-f", "-"], &format!("{text}\n")).map(drop)
    }
}

/// Gives `ip` a list of commands.
fn batch(namespace: &Namespace, commands: &str) -> Result<()> {
    namespace.run("ip", &["-batch", "-"], &format!("{commands}\n")).map(drop)
}
