//! The page about the kinds of objects that make pods, made from the table itself.

use super::page::Page;
use crate::pod::kinds::{DnsSource, Layout, PodKind, PodPlace};

/// Returns the page.
pub(super) fn kinds_page() -> String {
    let mut page = Page::titled("Kinds of objects that make pods");
    page.paragraph(
        "`muslin check`, `check --fix`, `inject` and `scan` read the pods of these kinds, and the objects inside of a `List`, of a \
         Template of OpenShift, of a TriggerTemplate or of another object.",
    );
    page.paragraph(
        "The webhook does not need this table: it sees the pods themselves, whichever controller makes them. Where a kind passes no \
         `dnsConfig` on, the webhook is what sets it.",
    );
    page.heading("Where nothing is written");
    page.items([
        "The column `dnsConfig` names the place that `--fix` and `inject` write to. Where it names a condition, they change only a \
         `dnsConfig` that is there already. Where it says that nothing helps in the object, they write nothing, and the finding says so.",
        "Kinds marked with \"and others\" get more containers from their controller than the object lists. muslin fixes `attempts:0` and \
         `timeout:0` there, and adds no options of a profile: these are chosen by the resolvers of all containers.",
        "Labels and annotations are written only into the pod templates of Kubernetes' own kinds.",
    ]);
    page.heading("Other documents");
    page.items([
        "A kind that is not listed: a PodTemplateSpec in it (`spec.containers` with names and images) is read as one. Only a `dnsConfig` \
         that is there already is changed.",
        "Containers in any other form: `check` and `inject` count the objects as \"of a kind muslin does not understand\".",
        "DNS settings without containers, as in a kustomize patch, a JSON Patch, Helm values, a HelmRelease or an operator's pod template, \
         also in the strings of a Kustomization, of an Application of Argo CD or of a HelmChart: muslin checks what it can without containers, such as zeros, options that no resolver knows, `ndots`, nameservers and search lists. \
         What depends on musl is advice (level `info`) there.",
        "`scan` lists the kinds that the API server has and the user may list; the ClusterRole of `manifests/scan` grants Kubernetes' own. \
         Objects with an owner count as their owner's, and those that have run to their end are left out.",
    ]);
    for (title, is_own) in [("Kubernetes' own kinds", true), ("Custom resources", false)] {
        page.heading(title);
        let rows = PodKind::all().filter(|row| row.is_builtin() == is_own);
        page.table(&["kind", "group", "pods", "dnsConfig", "source"], rows.map(row));
    }
    page.into_text()
}

fn row(row: &PodKind) -> [String; 5] {
    let PodKind { group, version, kind, plural: _, pods, source } = row;
    let group = match (*group, *version) {
        ("", _) => "core".to_owned(),
        (group, "") => format!("`{group}`"),
        (group, version) => format!("`{group}/{version}`"),
    };
    let mut sources: Vec<String> = pods.iter().map(dns_config).collect();
    sources.dedup();
    let places: Vec<String> = pods.iter().map(place).collect();
    [(*kind).to_owned(), group, places.join(", "), sources.join(", "), (*source).to_owned()]
}

/// Returns where the pods are: `spec.template`.
fn place(place: &PodPlace) -> String {
    let at = dotted(place.at);
    let at = if at.is_empty() { "the object".to_owned() } else { format!("`{at}`") };
    let lists = match place.layout {
        Layout::Template | Layout::Spec => String::new(),
        Layout::Settings => " (settings alone)".to_owned(),
        Layout::Fields { init, containers } => {
            let lists = init
                .iter()
                .chain(containers)
                .map(|pattern| format!("`{}`", if pattern.is_empty() { "image".to_owned() } else { dotted(pattern) }));
            let lists = lists.collect::<Vec<_>>().join(", ");
            if lists.is_empty() { String::new() } else { format!(" ({lists})") }
        }
    };
    let others = if place.is_complete { "" } else { " and others" };
    format!("{at}{lists}{others}")
}

/// Returns where the pods get their `dnsConfig` from.
fn dns_config(place: &PodPlace) -> String {
    let spec = match place.layout {
        Layout::Template => format!("{}/spec", place.at),
        _ => place.at.to_owned(),
    };
    match place.dns {
        DnsSource::Spec if place.layout == Layout::Template => "in the pod's spec".to_owned(),
        DnsSource::Spec => format!("`{}`", dotted(&format!("{spec}/dnsConfig"))),
        DnsSource::SpecIf(condition) => format!("`{}`: {condition}", dotted(&format!("{spec}/dnsConfig"))),
        DnsSource::Elsewhere { map, field } => format!("`{}`", dotted(&format!("{}{map}/{field}", place.at))),
        DnsSource::Nowhere(instead) => format!("none: {instead}"),
    }
}

/// Returns a JSON pointer as people write it: `spec.templates[*].container`.
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace("/*", "[*]").replace('/', ".")
}
