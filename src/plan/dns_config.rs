//! From what the pod's author wrote to what the pod should say. The author's options stay; muslin's own of an earlier pass are
//! known by the annotation, and are never counted as the author's.

use crate::pod::{Base, Claim, Dns, DnsOption, Injected, Policy, cluster_searches};
use crate::policy::{NodeLocal, OnConflict, Profile};
use crate::resolver::{self, Family, musl};
use crate::rules::Container;

use super::context::Context;

/// What becomes of a pod's DNS.
pub(super) struct Mended {
    /// As the author wrote it: the pod without what muslin set in an earlier pass.
    pub(super) authored: Dns,
    /// As it should be.
    pub(super) desired: Dns,
    /// What muslin set, in this pass or an earlier one.
    pub(super) injected: Injected,
    /// What the author should be told of it.
    pub(super) notes: Vec<String>,
}

/// Options that are repaired whoever set them, because at 0 lookups die of them, and the number that resolvers use on their
/// own (musl `src/network/resolvconf.c`, glibc `resolv/resolv.h`: 5 seconds, 2 attempts).
const REPAIRED: [(&str, &str); 2] = [("attempts", "2"), ("timeout", "5")];

/// What is kept free on that line where the node's own options stand on it too, which are not known here: twice what
/// systemd-resolved writes (`edns0 trust-ad`) and a few more.
const NODE_OPTIONS_ALLOWANCE: usize = 64;

/// What the API server accepts in `dnsConfig` (kubernetes `pkg/apis/core/validation/validation.go`: `MaxDNSNameservers`,
/// `MaxDNSSearchPaths`, `MaxDNSSearchListChars`).
const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LIST_MAX: usize = 2048;

/// Resolves names in the cluster as `ClusterFirst` does, once the policy is `None`.
const CLUSTER_NDOTS: &str = "ndots:5";

/// The claim that the nameserver was replaced by the node's cache.
const NODE_LOCAL_CLAIM: &str = "dnsPolicy:None";

/// Decides what the pod should say.
pub(super) fn mend(current: &Dns, claims: &Injected, containers: &[Container<'_>], context: &Context<'_>) -> Mended {
    let mut row = row_for(context.profile, containers).to_vec();
    let authored_policy = undo_node_local(current, claims, context);
    let base = authored_policy.as_ref().unwrap_or(current);
    let mut notes = Vec::new();
    let node_local = node_local(base, context, &mut notes);
    if node_local.is_some() {
        row.push(CLUSTER_NDOTS.to_owned());
    }

    let entries = Entry::read(&base.options, claims, &row, context);
    let authored = Dns {
        options: entries.iter().filter(|entry| !entry.claimed).map(|entry| entry.authored.clone()).collect(),
        ..base.clone()
    };
    if context.profile.on_conflict == OnConflict::Keep {
        drop_what_a_short_timeout_forbids(&mut row, &authored);
    }

    let mut mended = Mended { desired: base.clone(), injected: Injected::default(), notes, authored };
    if let Some(node_local) = node_local {
        mended.use_node_local(node_local, context);
    }
    mended.set_options(&entries, &row, context);
    mended.repair(&row);
    if exceeds_a_line_of_musl(&mended, containers, context) {
        return mended.without_additions(context);
    }
    mended.note_conflicts(&row, context);
    mended
}

fn row_for<'p>(profile: &'p Profile, containers: &[Container<'_>]) -> &'p [String] {
    profile.options_for(containers.iter().map(Container::known_resolver))
}

/// The indexes of the author's options that are the profile's, where the pod has all that the profile gives it: as muslin would
/// have made it, or did make it in the file that it comes from. What such an option means for one of the containers was weighed
/// when the profile was chosen. An author who wrote only some of them relies on those, and hears of them.
pub(super) fn settled(profile: &Profile, containers: &[Container<'_>], authored: &Dns) -> Vec<usize> {
    let row = row_for(profile, containers);
    let indexes: Vec<usize> =
        authored.effective_options().filter(|index| row.contains(&authored.options[*index].text())).collect();
    let is_whole = row.iter().all(|option| indexes.iter().any(|index| authored.options[*index].text() == *option));
    if is_whole { indexes } else { Vec::new() }
}

/// One option of the pod as it is, and what is known of where it comes from.
struct Entry {
    /// As the author wrote it.
    authored: DnsOption,
    /// Whether muslin added it in an earlier pass.
    claimed: bool,
}

// === impl Entry ===

impl Entry {
    /// Tells the author's options from those that an earlier pass added. Anybody can write the annotation, so a claim counts only
    /// for what this profile could have set and would set again by that name: a forged one can change nothing else.
    fn read(options: &[DnsOption], claims: &Injected, row: &[String], context: &Context<'_>) -> Vec<Self> {
        let mut entries: Vec<Self> =
            options.iter().map(|option| Self { authored: option.clone(), claimed: false }).collect();
        for Claim { set, was, at: _ } in &claims.claims {
            let possible = context.believes_claims
                || set == CLUSTER_NDOTS
                || context.profile.every_option().any(|option| option == set);
            let is_renewed = context.believes_claims || row.iter().any(|option| same_name(option, set));
            if was.is_some() || !possible || !is_renewed {
                continue;
            }
            let added = entries.iter_mut().rfind(|entry| !entry.claimed && entry.authored.text() == *set);
            if let Some(entry) = added {
                entry.claimed = true;
            }
        }
        // Those that say where first: what is left then is what the others mean.
        let (placed, unplaced) = claims.claims.iter().partition::<Vec<_>, _>(|claim| claim.at.is_some());
        for Claim { set, was, at } in placed.into_iter().chain(unplaced) {
            if let Some(was) = was
                && !undo_repair(&mut entries, set, was, *at)
                && at.is_none()
            {
                undo_override(&mut entries, set, was, row, context);
            }
        }
        entries
    }
}

/// Puts back the zero that an earlier pass replaced, in the option at that index, or in the only one that reads so; whether there
/// was one.
fn undo_repair(entries: &mut [Entry], set: &str, was: &str, at: Option<usize>) -> bool {
    let (Some((name, _)), Some((was_name, zeros))) = (set.split_once(':'), was.split_once(':')) else { return false };
    let is_zero = !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0');
    if name != was_name || !is_zero || !REPAIRED.iter().any(|(repaired, _)| *repaired == name) {
        return false;
    }
    let found = entries.iter_mut().enumerate().find_map(|(index, entry)| {
        let eligible = !entry.claimed && at.is_none_or(|at| at == index);
        let start = place_of(&entry.authored.text(), set).filter(|_| eligible)?;
        Some((entry, start))
    });
    let Some((entry, start)) = found else { return false };
    entry.authored = replace(&entry.authored, start + name.len() + 1..start + set.len(), zeros);
    true
}

/// Puts back what the profile took the place of. A forged claim gains nothing: the profile takes its place again.
fn undo_override(entries: &mut [Entry], set: &str, was: &str, row: &[String], context: &Context<'_>) {
    let may = context.profile.on_conflict == OnConflict::Override && row.iter().any(|option| same_name(option, set));
    if !same_name(set, was) || !(may || context.believes_claims) {
        return;
    }
    let mut of_that_name = entries.iter_mut().filter(|entry| same_name(&entry.authored.text(), set));
    if let (Some(entry), None) = (of_that_name.next(), of_that_name.next())
        && !entry.claimed
        && entry.authored.text() == set
    {
        entry.authored = DnsOption::parse(was);
    }
}

/// Where a text holds an option such as `timeout:5`, which does not stand in `timeout:50`.
fn place_of(text: &str, option: &str) -> Option<usize> {
    let ends = |start: &usize| !text[start + option.len()..].starts_with(|next: char| next.is_ascii_digit());
    text.match_indices(option).map(|(start, _)| start).find(ends)
}

/// Replaces a part of an option's text, and keeps what stands in its name and what in its value apart.
fn replace(option: &DnsOption, range: std::ops::Range<usize>, by: &str) -> DnsOption {
    let DnsOption { name, value } = option;
    let mut option = option.clone();
    match range.start.checked_sub(name.len() + 1) {
        Some(start) => {
            let mut value = value.clone().unwrap_or_default();
            value.replace_range(start..start + range.len(), by);
            option.value = Some(value);
        }
        None => option.name.replace_range(range, by),
    }
    option
}

// === impl Mended ===

impl Mended {
    /// A pod that nothing is done to.
    pub(super) fn unchanged(current: &Dns) -> Self {
        Self { authored: current.clone(), desired: current.clone(), injected: Injected::default(), notes: Vec::new() }
    }

    fn claim(&mut self, set: &str, was: Option<String>) {
        self.injected.claims.push(Claim { set: set.to_owned(), was, at: None });
    }

    /// Keeps what the author set, unless the profile overrides it, renews what muslin set before, and adds what is missing of the
    /// row.
    fn set_options(&mut self, entries: &[Entry], row: &[String], context: &Context<'_>) {
        let overrides = context.profile.on_conflict == OnConflict::Override;
        let mut missing: Vec<&String> = row.iter().collect();
        self.desired.options.clear();
        for entry in entries {
            let text = entry.authored.text();
            let wanted = missing.iter().position(|option| same_name(option, &text));
            let wanted = wanted.map(|index| missing.remove(index));
            match wanted {
                Some(wanted) if entry.claimed => {
                    self.desired.options.push(DnsOption::parse(wanted));
                    self.claim(wanted, None);
                }
                Some(wanted) if overrides && *wanted != text && can_be_restored(entry, entries) => {
                    self.desired.options.push(DnsOption::parse(wanted));
                    self.claim(wanted, Some(text));
                }
                // Of another profile, which is not there any more.
                None if entry.claimed && context.believes_claims => {}
                _ => self.desired.options.push(entry.authored.clone()),
            }
        }
        for option in missing {
            self.desired.options.push(DnsOption::parse(option));
            self.claim(option, None);
        }
    }

    /// Gives options at zero the number of the row, or the one that resolvers use on their own.
    fn repair(&mut self, row: &[String]) {
        let mut repaired = Vec::new();
        for index in self.desired.effective_options().collect::<Vec<_>>() {
            for (name, default) in REPAIRED {
                let option = &self.desired.options[index];
                let text = option.text();
                // Named twice in one text (`attempts: 5 attempts:0`), a later pass could not tell which of them was repaired.
                if text.matches(name).count() > 1 {
                    continue;
                }
                let Some(range) = resolver::zero_digits(&text, name) else { continue };
                if self.injected.claims.len() == Injected::CLAIMS_MAX {
                    break;
                }
                let number = row.iter().find_map(|option| option.split_once(':').filter(|(other, _)| *other == name));
                let number = number.map_or(default, |(_, number)| number);
                let was = format!("{name}:{}", &text[range.clone()]);
                self.desired.options[index] = replace(option, range, number);
                repaired.push((self.injected.claims.len(), index));
                self.claim(&format!("{name}:{number}"), Some(was));
            }
        }
        for (claim, index) in repaired {
            let Claim { set, was: _, at } = &mut self.injected.claims[claim];
            let reads_so = |option: &DnsOption| place_of(&option.text(), set).is_some();
            let is_another = |(other, option): (usize, &DnsOption)| other != index && reads_so(option);
            *at = self.desired.options.iter().enumerate().any(is_another).then_some(index);
        }
    }

    /// Makes the node's cache the pod's nameserver, and writes out what `ClusterFirst` had implied.
    fn use_node_local(&mut self, node_local: &NodeLocal, context: &Context<'_>) {
        let was = format!("dnsPolicy:{}", self.authored.policy.name());
        self.desired.policy = Policy::None;
        self.desired.nameservers.insert(0, node_local.address.to_string());
        self.desired.searches.splice(0..0, cluster_searches(context.namespace, context.cluster_domain));
        self.claim(NODE_LOCAL_CLAIM, Some(was));
    }

    /// Takes back all but the repairs.
    fn without_additions(self, context: &Context<'_>) -> Self {
        let Self { authored, notes, .. } = self;
        let mut mended = Self { desired: authored.clone(), authored, injected: Injected::default(), notes };
        mended.notes.push(format!(
            "profile {} not applied: musl drops an options line of over {} characters",
            context.profile.name,
            musl::LINE_MAX
        ));
        mended.repair(&[]);
        mended
    }

    /// Says which options of the profile gave way to the author's.
    fn note_conflicts(&mut self, row: &[String], context: &Context<'_>) {
        for option in row {
            let kept =
                self.authored.effective_options().map(|index| self.authored.options[index].text()).find(|text| {
                    same_name(text, option)
                        && text != option
                        && !REPAIRED.iter().any(|(name, _)| resolver::zero_digits(text, name).is_some())
                });
            let Some(authored) = kept else { continue };
            let name = &context.profile.name;
            let is_there = self.desired.options.iter().any(|other| other.text() == authored);
            self.notes.push(if is_there {
                format!("kept the pod's own {authored} (profile {name}: {option})")
            } else {
                format!("profile {name} puts {option} in the place of the pod's own {authored}")
            });
        }
    }
}

/// Whether a later pass can tell from the annotation what was there: it is the only option of its name, and written as options are.
fn can_be_restored(entry: &Entry, entries: &[Entry]) -> bool {
    let text = entry.authored.text();
    let is_a_word = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    let of_that_name = entries.iter().filter(|other| same_name(&other.authored.text(), &text)).count();
    is_a_word && DnsOption::parse(&text) == entry.authored && of_that_name == 1
}

/// Whether both texts are about one option, whatever its value.
fn same_name(one: &str, other: &str) -> bool {
    one.split(':').next() == other.split(':').next()
}

/// With its second socket glibc loses the AAAA answer once an answer takes about half the timeout (measured, dns-lab 1): where
/// the author chose a shorter timeout than the profile's, one socket is the safer choice.
fn drop_what_a_short_timeout_forbids(row: &mut Vec<String>, authored: &Dns) {
    let seconds = |text: &str| text.strip_prefix("timeout:").and_then(|number| number.parse::<u32>().ok());
    let Some(wanted) = row.iter().find_map(|option| seconds(option)) else { return };
    let chosen = authored.effective_options().find_map(|index| seconds(&authored.options[index].text()));
    if chosen.is_some_and(|chosen| 0 < chosen && chosen < wanted) {
        row.retain(|option| !option.starts_with("single-request"));
    }
}

/// Whether the additions would make musl drop the whole options line. A resolver that is not known may be musl.
fn exceeds_a_line_of_musl(mended: &Mended, containers: &[Container<'_>], context: &Context<'_>) -> bool {
    let may_be_musl = containers
        .iter()
        .any(|container| matches!(container.resolver().family, Family::Musl | Family::Static | Family::Unknown));
    let conf = mended.desired.resolv_conf(context.namespace, context.cluster_domain);
    let allowance = if conf.base == Base::Node { NODE_OPTIONS_ALLOWANCE } else { 0 };
    may_be_musl && !mended.injected.is_empty() && conf.options_line_len() + allowance > musl::LINE_MAX
}

/// The cache to use for this pod: only in place of the cluster's DNS, and only where the API server accepts the result.
fn node_local<'p>(dns: &Dns, context: &Context<'p>, notes: &mut Vec<String>) -> Option<&'p NodeLocal> {
    let node_local = context.profile.node_local.as_ref().filter(|_| dns.policy.base() == Base::Cluster)?;
    let searches: Vec<String> =
        cluster_searches(context.namespace, context.cluster_domain).into_iter().chain(dns.searches.clone()).collect();
    let fits = dns.nameservers.len() < NAMESERVERS_MAX
        && searches.len() <= SEARCHES_MAX
        && searches.join(" ").len() <= SEARCH_LIST_MAX;
    if !fits {
        notes.push(
            "the node-local cache is not used: dnsConfig has no room for another nameserver or search".to_owned(),
        );
    }
    fits.then_some(node_local)
}

/// The pod before an earlier pass gave it the node's cache; `None` if none did.
fn undo_node_local(current: &Dns, claims: &Injected, context: &Context<'_>) -> Option<Dns> {
    let node_local = context.profile.node_local.as_ref()?;
    let was = claims.claims.iter().find(|claim| claim.set == NODE_LOCAL_CLAIM)?.was.as_deref()?;
    let policy = Policy::of(Some(was.strip_prefix("dnsPolicy:")?), false);
    let searches = cluster_searches(context.namespace, context.cluster_domain);
    let is_ours = current.policy == Policy::None
        && policy.base() == Base::Cluster
        && current.nameservers.first() == Some(&node_local.address.to_string())
        && current.searches.starts_with(&searches);
    is_ours.then(|| Dns {
        policy,
        nameservers: current.nameservers[1..].to_vec(),
        searches: current.searches[searches.len()..].to_vec(),
        options: current.options.clone(),
    })
}
