//! The laboratory's network: a client, a router and the addresses of servers, each in its own network namespace. All addresses are
//! private or reserved for documentation, and exist only inside these namespaces. Must not know of DNS, except for its port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Result;

use crate::lab::client::Client;
use crate::lab::namespace::Namespace;
use crate::lab::process::Process;
use crate::lab::server::{Script, Server};
use crate::lab::world::World;

/// The address that lookups come from.
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 2);

/// The nameserver of a cluster, for [`Lab::balance`].
pub(crate) const CLUSTER_DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// Returns an address of 198.51.100.0/24. If no server is started there, its ports are closed.
pub(crate) const fn server(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, number)
}

/// Returns an address of 2001:db8:2::/64, as [`server`] does.
pub(crate) const fn server_v6(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, number)
}

/// A separate network: client — router — servers.
pub(crate) struct Lab<'w> {
    pub(crate) world: &'w World,
    client: Arc<Namespace>,
    router: Namespace,
    servers: Arc<Namespace>,
}

// === impl Lab ===

impl<'w> Lab<'w> {
    pub(crate) fn new(world: &'w World) -> Result<Self> {
        let lab = Self {
            world,
            client: Arc::new(Namespace::new()?),
            router: Namespace::new()?,
            servers: Arc::new(Namespace::new()?),
        };
        let Self { client, router, servers, .. } = &lab;
        // `nodad`: no test waits for the detection of duplicate addresses.
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
        // Programs that connect to what they found are refused at once, as nothing listens there.
        batch(
            client,
            "link set lo up
             addr add 172.30.0.2/25 dev eth0
             addr add 2001:db8:1::2/64 dev eth0 nodad
             link set eth0 up
             route add default via 172.30.0.1
             route add default via 2001:db8:1::1
             route add local 203.0.113.0/24 dev lo
             route add local 2001:db8:9::/64 dev lo",
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
        // A route is enough to use an IPv4 address; an IPv6 address also needs this permission.
        servers.set("net/ipv6/ip_nonlocal_bind", "1")?;
        router.set("net/ipv4/ip_forward", "1")?;
        router.set("net/ipv6/conf/all/forwarding", "1")?;
        // Rules can then match the number of packets of a connection.
        router.set("net/netfilter/nf_conntrack_acct", "1")?;
        lab.nft(
            "table inet lab {
                 chain translate { type nat hook prerouting priority dstnat; }
                 chain forward { type filter hook forward priority filter; }
             }",
        )?;
        Ok(lab)
    }

    /// Starts a scripted server at an address ([`server`]).
    pub(crate) fn server(&self, address: impl Into<IpAddr>, script: Script) -> Result<Server> {
        Server::start(self.world.runtime.handle(), &self.servers, address.into(), script)
    }

    /// Returns a client with this `/etc/resolv.conf`. All clients share one address, and each has its own files.
    pub(crate) fn client(&self, resolv_conf: &str) -> Result<Client<'_>> {
        Client::new(&self.client, resolv_conf)
    }

    /// Takes the IPv6 addresses from the client, as in a cluster with IPv4 alone.
    pub(crate) fn without_ipv6(&self) -> Result<()> {
        self.client.set("net/ipv6/conf/all/disable_ipv6", "1")
    }

    /// Starts a program in the servers' namespace.
    pub(crate) fn program(
        &self,
        program: &str,
        arguments: impl FnOnce(&std::path::Path) -> Result<Vec<String>>,
    ) -> Result<Process> {
        Process::start(Arc::clone(&self.servers), program, arguments)
    }

    /// Adds a rule for forwarded packets to the router, in nft's syntax: `udp dport 53 drop`,
    /// `ip daddr 198.51.100.1 tcp dport 53 reject with tcp reset`, `udp dport 53 numgen random mod 100 < 5 drop`.
    pub(crate) fn forward(&self, rule: &str) -> Result<()> {
        self.nft(&format!("add rule inet lab forward {rule}"))
    }

    /// Removes all rules for forwarded packets.
    pub(crate) fn forward_everything(&self) -> Result<()> {
        self.nft("flush chain inet lab forward")
    }

    /// Starts a program in the client's namespace, with the client's files.
    pub(crate) fn client_program(&self, client: &Client<'_>, program: &str, arguments: &[&str]) -> Result<Process> {
        let (shell, mut words) = client.wrapped(program);
        words.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Process::start(Arc::clone(&self.client), shell, |_| Ok(words))
    }

    /// Spreads packets for `service` over its backends, per connection and at random, as kube-proxy does.
    pub(crate) fn balance(&self, service: Ipv4Addr, backends: &[Ipv4Addr]) -> Result<()> {
        let map: Vec<String> =
            backends.iter().enumerate().map(|(index, address)| format!("{index} : {address}")).collect();
        let map = map.join(", ");
        let spread = format!("numgen random mod {} map {{ {map} }}", backends.len());
        self.nft(&format!("add rule inet lab translate ip daddr {service} dnat ip to {spread}"))
    }

    /// Redirects every UDP query to `server`, as a transparent proxy does.
    pub(crate) fn intercept(&self, server: Ipv4Addr) -> Result<()> {
        self.nft(&format!("add rule inet lab translate meta nfproto ipv4 udp dport 53 dnat ip to {server}"))
    }

    /// Drops the second packet of each UDP connection that has no answer yet. Kernels before 5.6 do so to one of two queries sent
    /// at once from one socket; newer kernels do not (dns-lab, section 9), so the race is emulated.
    pub(crate) fn race(&self, server: impl Into<IpAddr>) -> Result<()> {
        let family = match server.into() {
            IpAddr::V4(address) => format!("ip daddr {address}"),
            IpAddr::V6(address) => format!("ip6 daddr {address}"),
        };
        self.forward(&format!("{family} udp dport 53 ct state new ct original packets 2 counter drop"))
    }

    /// Returns the connections that the router tracks, one a line.
    pub(crate) fn connections(&self) -> Result<String> {
        self.router.run("conntrack", &["-L"], "")
    }

    fn nft(&self, text: &str) -> Result<()> {
        self.router.run("nft", &["-f", "-"], &format!("{text}\n")).map(drop)
    }
}

/// Runs a list of `ip` commands.
fn batch(namespace: &Namespace, commands: &str) -> Result<()> {
    namespace.run("ip", &["-batch", "-"], &format!("{commands}\n")).map(drop)
}
