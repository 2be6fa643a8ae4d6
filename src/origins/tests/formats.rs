//! Rules of single formats: resets, precedence, conditions.

use super::*;

/// resolved.conf(5) and systemd.syntax(7).
#[test]
fn drop_ins_of_systemd_resolved_override_and_reset() {
    let files = [
        ("/etc/systemd/resolved.conf", "[Resolve]\nDNS=10.0.0.1\nFallbackDNS=10.0.0.2\n"),
        ("/usr/lib/systemd/resolved.conf", "[Resolve]\nDNS=10.0.0.8\n"),
        ("/usr/lib/systemd/resolved.conf.d/10-a.conf", "[Resolve]\nDNS=10.0.0.3\n"),
        ("/etc/systemd/resolved.conf.d/10-a.conf", "[Resolve]\nDNS=\nDNS=10.0.0.4\n"),
        (
            "/run/systemd/resolved.conf.d/20-b.conf",
            "[Resolve]\nDNS=\nDNS=10.0.0.5#dns.example.com [fd00::5]:53\n[Other]\nDNS=10.0.0.6\n",
        ),
        ("/run/systemd/resolve/netif/2", "# This is private data. Do not parse.\nLLMNR=yes\nSERVERS=10.0.0.7\n"),
    ];
    let origins = find(&files).origins;
    let note = |origin: &Origin| origin.note.clone().unwrap_or_default();
    let notes: Vec<_> = origins.iter().map(|origin| format!("{}: {}", line(origin), note(origin))).collect();
    assert_eq!(
        notes,
        [
            "10.0.0.1 /etc/systemd/resolved.conf:2 systemd-resolved, NoEffect: a later empty `DNS=` in \
             /etc/systemd/resolved.conf.d/10-a.conf drops it",
            "10.0.0.2 /etc/systemd/resolved.conf:3 systemd-resolved, Stored: used only while no other server is known",
            "10.0.0.4 /etc/systemd/resolved.conf.d/10-a.conf:3 systemd-resolved, Stored: an empty `DNS=` in \
             /run/systemd/resolved.conf.d/20-b.conf drops it until the next reboot",
            "10.0.0.3 /usr/lib/systemd/resolved.conf.d/10-a.conf:2 systemd-resolved, NoEffect: \
             /etc/systemd/resolved.conf.d/10-a.conf replaces this file",
            "10.0.0.5 /run/systemd/resolved.conf.d/20-b.conf:3 systemd-resolved, Runtime: ",
            "fd00::5 /run/systemd/resolved.conf.d/20-b.conf:3 systemd-resolved, Runtime: ",
            "10.0.0.7 /run/systemd/resolve/netif/2:3 systemd-resolved, Runtime: set by `resolvectl dns` or another program, \
             which may set it again",
        ]
    );
}

/// cloud-init's documentation of network configuration and of the module Resolv Conf.
#[test]
fn cloud_init_counts_only_what_it_applies() {
    let network = (
        "/etc/cloud/cloud.cfg.d/90-network.cfg",
        "network:\n  version: 1\n  config:\n  - type: physical\n    subnets:\n    - type: static\n      dns_nameservers: [10.0.0.1]\n  - type: nameserver\n    address:\n    - 10.0.0.2\n",
    );
    let resolv_conf = ("/etc/cloud/cloud.cfg", "resolv_conf:\n  nameservers: ['10.0.0.3']\n");
    let managed = ("/etc/cloud/cloud.cfg", "manage_resolv_conf: true\nresolv_conf:\n  nameservers: ['10.0.0.3']\n");
    let disabled = ("/etc/cloud/cloud.cfg.d/99-disable.cfg", "network: {config: disabled}\n");
    let seed = (
        "/var/lib/cloud/seed/nocloud/network-config",
        "version: 2\nethernets: {a: {nameservers: {addresses: [10.0.0.4]}}}\n",
    );
    let states = |files: &[(&str, &str)]| {
        let origins = find(files).origins;
        origins.iter().map(|origin| format!("{} {:?}", origin.address, origin.persistence)).collect::<Vec<_>>()
    };
    assert_eq!(
        states(&[resolv_conf, network, seed]),
        ["10.0.0.3 NoEffect", "10.0.0.1 Stored", "10.0.0.2 Stored", "10.0.0.4 Stored"]
    );
    assert_eq!(states(&[managed, disabled, network]), ["10.0.0.3 Stored", "10.0.0.1 NoEffect", "10.0.0.2 NoEffect"]);
}

#[test]
fn a_file_by_hand_is_stored() {
    let files = [("/etc/resolv.conf", "# ours\nnameserver 10.0.0.1\n#nameserver 10.0.0.2\n")];
    assert_eq!(found(&files), ["10.0.0.1 /etc/resolv.conf:2 resolv.conf, Stored, in use"]);
}

#[test]
fn what_is_not_yaml_is_named() {
    let files = [
        ("/etc/netplan/a.yaml", "network:\n  - a: [\n"),
        ("/var/lib/cloud/seed/nocloud/user-data", "#!/bin/sh\necho: - x: y\n"),
    ];
    let unread = find(&files).unread;
    assert_eq!(unread[0].file, "/etc/netplan/a.yaml");
    assert!(unread[0].because.starts_with("not YAML: line"), "{unread:?}");
}

/// kubelet(8): flags win over the file; a flag in a comment is none.
#[test]
fn the_kubelets_flags_win_over_its_configuration() {
    let files = [
        ("/var/lib/kubelet/config.yaml", "resolvConf: /etc/a.conf\n"),
        (
            "/etc/default/kubelet",
            "# --resolv-conf=/etc/c.conf\nKUBELET_EXTRA_ARGS=\"--v=2 --resolv-conf /etc/b.conf\"\n",
        ),
        ("/etc/a.conf", "nameserver 10.0.0.1\n"),
        ("/etc/b.conf", "nameserver 10.0.0.2\n"),
    ];
    let found = find(&files);
    assert_eq!((found.resolv_conf.as_str(), found.resolv_conf_from.unwrap().line), ("/etc/b.conf", Some(2)));
    assert_eq!(found.nameservers, ["10.0.0.2".parse::<IpAddr>().unwrap()]);
    assert!(further_patterns(&tree(&files)).contains(&"/etc/b.conf".to_owned()));
    // An unquoted empty value.
    let empty = find(&[("/var/lib/kubelet/config.yaml", "resolvConf: \"\"\n")]);
    assert!(empty.notes[0].starts_with("the kubelet's resolvConf is empty"), "{:?}", empty.notes);
}
