//! The change from the DNS settings that the pod's author wrote to those that the pod should have. The author's options stay. The
//! annotation tells muslin's own options of an earlier pass from the author's.

use super::cluster_file::{self, ClusterFile};
use super::context::Context;
use crate::pod::{Base, Dns, DnsOption, Injected, InjectedOption, Policy};
use crate::policy::OnConflict;
use crate::resolver::{self, Family, musl};
use crate::rules::Container;
use crate::text::is_hidden;

/// The change of a pod's DNS settings.
pub(super) struct DnsChange {
    /// The author's settings: the pod without the options that muslin set in an earlier pass.
    pub(super) authored: Dns,
    /// The settings that the pod should have.
    pub(super) desired: Dns,
    /// The options that muslin set, in this pass or an earlier one.
    pub(super) injected: Injected,
    /// Notes for the author about the change.
    pub(super) notes: Vec<String>,
    /// The indexes of authored options that muslin 0.1.0 set and that today's profile would not set.
    pub(super) outdated: Vec<usize>,
    /// The indexes of the pod's options that the pod should not have any more, in order.
    pub(super) removed: Vec<usize>,
}

/// Options that are always fixed, because lookups fail with 0, and the numbers that resolvers use by default (musl
/// `src/network/resolvconf.c`, glibc `resolv/resolv.h`: 5 seconds, 2 attempts).
const FIXED_AT_ZERO: [(&str, &str); 2] = [("attempts", "2"), ("timeout", "5")];

/// The room on the options line for the node's own options, which are unknown here: twice what systemd-resolved writes (`edns0
/// trust-ad`) and a few more.
const NODE_OPTIONS_ALLOWANCE: usize = 64;

/// The option that `ClusterFirst` implies, for pods whose policy becomes `None`.
const CLUSTER_NDOTS: &str = "ndots:5";

/// Returns the change that a pod with these settings needs. `earlier` are the options that the annotation lists.
pub(super) fn dns_change(
    current: &Dns,
    earlier: &Injected,
    containers: &[Container<'_>],
    context: &Context<'_>,
) -> DnsChange {
    let undone = cluster_file::undo(current, earlier, context);
    let base = undone.as_ref().map_or(current, |undone| &undone.dns);
    let mut notes = Vec::new();
    let file = ClusterFile::of(base, undone.as_ref(), containers, context, &mut notes);
    let mut row = row_for(base, containers, file.as_ref(), context).to_vec();
    let is_implied = file.is_some() && !row.iter().any(|option| same_name(option, CLUSTER_NDOTS));
    if is_implied {
        row.push(CLUSTER_NDOTS.to_owned());
    }

    let mut options = PodOption::separate(&base.options, earlier, &row, context);
    if undone.is_some() && file.is_none() {
        remove_cluster_ndots(&mut options, earlier);
    }
    let authored = Dns {
        options: options.iter().filter(|option| !option.is_injected).map(|option| option.authored.clone()).collect(),
        ..base.clone()
    };
    if is_implied && authored.options.iter().any(|option| same_name(&option.text(), CLUSTER_NDOTS)) {
        // `ClusterFirst` would give way to the author's.
        row.pop();
    }
    if context.profile.on_conflict == OnConflict::Keep {
        leave_the_schedule_to_the_author(&mut row, &authored, context, &mut notes);
    }

    let mut change = DnsChange { notes, authored, ..DnsChange::unchanged(base, &Injected::default(), context) };
    if let Some(file) = file {
        change.use_file(file);
    }
    change.set_options(&options, &row, context);
    change.fix_zeros(&row);
    if exceeds_a_line_of_musl(&change, containers, context) {
        return change.without_additions(&options, context);
    }
    change.note_conflicts(&row, context);
    change
}

/// Returns the profile's options for a pod with these settings. A pod that inherits the node's file gets none: the kubelet would put
/// them in place of the node's own, which are unknown here (kubernetes `pkg/kubelet/network/dns/dns.go`, `mergeDNSOptions`; measured:
/// with a node's `timeout:10` and answers that take 6 s, musl found names, and with `timeout:5` it did not).
fn row_for<'p>(
    dns: &Dns,
    containers: &[Container<'_>],
    file: Option<&ClusterFile>,
    context: &Context<'p>,
) -> &'p [String] {
    let Context { profile, cluster_nameservers, .. } = context;
    let inherited = match dns.policy.base() {
        Base::Node => return &[],
        Base::Cluster => file.map_or(*cluster_nameservers, |file| file.nameservers.len()),
        Base::Nothing => 0,
    };
    let nameservers = inherited + dns.nameservers.len();
    profile.options_for(containers.iter().map(Container::known_resolver), nameservers)
}

/// Returns the indexes of the author's options that are the profile's, if the pod has all options that the profile gives it: muslin
/// would set them, or did so in the file that the pod comes from. The profile's choice already weighed what such an option means for
/// each container. An author who wrote only some of them relies on those, so the findings on them stay.
pub(super) fn settled(containers: &[Container<'_>], authored: &Dns, context: &Context<'_>) -> Vec<usize> {
    if authored.options.is_empty() {
        return Vec::new();
    }
    let file = ClusterFile::of(authored, None, containers, context, &mut Vec::new());
    let row = row_for(authored, containers, file.as_ref(), context);
    let indexes: Vec<usize> =
        authored.effective_options().filter(|index| row.contains(&authored.options[*index].text())).collect();
    let is_whole = row.iter().all(|option| indexes.iter().any(|index| authored.options[*index].text() == *option));
    if is_whole { indexes } else { Vec::new() }
}

/// One option of the pod, and its origin.
struct PodOption {
    /// The option as the author wrote it.
    authored: DnsOption,
    /// Is true if muslin added the option in an earlier pass.
    is_injected: bool,
}

// === impl PodOption ===

impl PodOption {
    /// Separates the author's options from those that an earlier pass added. Anyone can write the annotation, so an entry counts only
    /// if this profile could have set that option and would set one of that name again, or if the built-in profiles of 0.1.0 set it: a
    /// forged entry can change nothing else.
    fn separate(options: &[DnsOption], earlier: &Injected, row: &[String], context: &Context<'_>) -> Vec<Self> {
        let mut separated: Vec<Self> =
            options.iter().map(|option| Self { authored: option.clone(), is_injected: false }).collect();
        for InjectedOption { option: set, replaced, index: _ } in &earlier.options {
            let is_outdated = is_outdated(set, context);
            let is_possible = context.trusts_annotation
                || is_outdated
                || set == CLUSTER_NDOTS
                || context.profile.every_option().any(|option| option == set);
            let is_set_again =
                context.trusts_annotation || is_outdated || row.iter().any(|option| same_name(option, set));
            if replaced.is_some() || !is_possible || !is_set_again {
                continue;
            }
            let added = separated.iter_mut().rfind(|option| !option.is_injected && option.authored.text() == *set);
            if let Some(option) = added {
                option.is_injected = true;
            }
        }
        // Entries with an index come first: the others then mean one of the remaining options.
        let (with_index, without_index) = earlier.options.iter().partition::<Vec<_>, _>(|entry| entry.index.is_some());
        for InjectedOption { option: set, replaced, index } in with_index.into_iter().chain(without_index) {
            if let Some(replaced) = replaced
                && !restore_zero(&mut separated, set, replaced, *index)
                && index.is_none()
            {
                restore_overridden(&mut separated, set, replaced, row, context);
            }
        }
        separated
    }
}

/// Restores the zero that an earlier pass fixed, in the option at that index, or in the only one with that text. Returns whether there
/// was one.
fn restore_zero(options: &mut [PodOption], set: &str, replaced: &str, index: Option<usize>) -> bool {
    let (Some((name, _)), Some((replaced_name, zeros))) = (set.split_once(':'), replaced.split_once(':')) else {
        return false;
    };
    let is_zero = !zeros.is_empty() && zeros.bytes().all(|digit| digit == b'0');
    if name != replaced_name || !is_zero || !FIXED_AT_ZERO.iter().any(|(fixed, _)| *fixed == name) {
        return false;
    }
    let found = options.iter_mut().enumerate().find_map(|(position, option)| {
        let is_eligible = !option.is_injected && index.is_none_or(|index| index == position);
        let start = find_option(&option.authored.text(), set).filter(|_| is_eligible)?;
        Some((option, start))
    });
    let Some((option, start)) = found else { return false };
    option.authored = replace_range(&option.authored, start + name.len() + 1..start + set.len(), zeros);
    true
}

/// Restores the author's option that the profile overrode. A forged entry gains nothing: the profile overrides the option again.
fn restore_overridden(options: &mut [PodOption], set: &str, replaced: &str, row: &[String], context: &Context<'_>) {
    let overrides =
        context.profile.on_conflict == OnConflict::Override && row.iter().any(|option| same_name(option, set));
    if !same_name(set, replaced) || !(overrides || context.trusts_annotation) {
        return;
    }
    let mut with_that_name = options.iter_mut().filter(|option| same_name(&option.authored.text(), set));
    if let (Some(option), None) = (with_that_name.next(), with_that_name.next())
        && !option.is_injected
        && option.authored.text() == set
    {
        option.authored = DnsOption::parse(replaced);
    }
}

/// Returns the start of an option such as `timeout:5` in a text; `timeout:50` does not contain it.
fn find_option(text: &str, option: &str) -> Option<usize> {
    let ends = |start: &usize| !text[start + option.len()..].starts_with(|next: char| next.is_ascii_digit());
    text.match_indices(option).map(|(start, _)| start).find(ends)
}

/// Replaces a range of an option's text, which lies in its name or in its value.
fn replace_range(option: &DnsOption, range: std::ops::Range<usize>, by: &str) -> DnsOption {
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

// === impl DnsChange ===

impl DnsChange {
    /// Returns a change that changes nothing. `earlier` are the options that the annotation lists.
    pub(super) fn unchanged(current: &Dns, earlier: &Injected, context: &Context<'_>) -> Self {
        let mut change = Self {
            authored: current.clone(),
            desired: current.clone(),
            injected: Injected::default(),
            notes: Vec::new(),
            outdated: Vec::new(),
            removed: Vec::new(),
        };
        for InjectedOption { option: set, replaced, index: _ } in &earlier.options {
            // The author's option of the same text would come first.
            let index = current.options.iter().rposition(|option| option.text() == *set);
            if let (Some(index), None, true) = (index, replaced, is_outdated(set, context))
                && !change.outdated.contains(&index)
            {
                change.outdated.push(index);
                change.inject(set, None);
            }
        }
        change
    }

    fn inject(&mut self, option: &str, replaced: Option<String>) {
        self.injected.options.push(InjectedOption { option: option.to_owned(), replaced, index: None });
    }

    /// Keeps the author's options, unless the profile overrides them, renews the options of earlier passes, and adds the missing ones
    /// of the row.
    fn set_options(&mut self, options: &[PodOption], row: &[String], context: &Context<'_>) {
        let overrides = context.profile.on_conflict == OnConflict::Override;
        let mut missing: Vec<&String> = row.iter().collect();
        self.desired.options.clear();
        for (index, option) in options.iter().enumerate() {
            let text = option.authored.text();
            let wanted = missing.iter().position(|wanted| same_name(wanted, &text));
            let wanted = wanted.map(|index| missing.remove(index));
            match wanted {
                Some(wanted) if option.is_injected => {
                    self.desired.options.push(DnsOption::parse(wanted));
                    self.inject(wanted, None);
                }
                Some(wanted) if overrides && *wanted != text && can_be_restored(option, options) => {
                    self.desired.options.push(DnsOption::parse(wanted));
                    self.inject(wanted, Some(text));
                }
                // An option of another profile or of 0.1.0, which the pod no longer has.
                None if option.is_injected => self.removed.push(index),
                _ => self.desired.options.push(option.authored.clone()),
            }
        }
        for option in missing {
            self.desired.options.push(DnsOption::parse(option));
            self.inject(option, None);
        }
    }

    /// Replaces zeros by the number of the row, or by the resolvers' default.
    fn fix_zeros(&mut self, row: &[String]) {
        let mut fixed = Vec::new();
        for index in self.desired.effective_options().collect::<Vec<_>>() {
            for (name, default) in FIXED_AT_ZERO {
                let option = &self.desired.options[index];
                if !option.name.contains('0') && !option.value.as_deref().is_some_and(|value| value.contains('0')) {
                    continue;
                }
                let text = option.text();
                // If a text names the option twice (`attempts: 5 attempts:0`), a later pass could not tell which was fixed.
                if text.matches(name).count() > 1 {
                    continue;
                }
                let Some(range) = resolver::zero_digits(&text, name) else { continue };
                if self.injected.options.len() == Injected::OPTIONS_MAX {
                    break;
                }
                let number = row.iter().find_map(|option| option.split_once(':').filter(|(other, _)| *other == name));
                let number = number.map_or(default, |(_, number)| number);
                let replaced = format!("{name}:{}", &text[range.clone()]);
                self.desired.options[index] = replace_range(&self.desired.options[index], range, number);
                fixed.push((self.injected.options.len(), index));
                self.inject(&format!("{name}:{number}"), Some(replaced));
            }
        }
        for (entry, index) in fixed {
            let InjectedOption { option: set, replaced: _, index: at } = &mut self.injected.options[entry];
            let has_that_text = |option: &DnsOption| find_option(&option.text(), set).is_some();
            let is_another = |(other, option): (usize, &DnsOption)| other != index && has_that_text(option);
            *at = self.desired.options.iter().enumerate().any(is_another).then_some(index);
        }
    }

    /// Writes the nameservers and searches out that `ClusterFirst` implied.
    fn use_file(&mut self, file: ClusterFile) {
        let ClusterFile { nameservers, searches } = file;
        let replaced = format!("dnsPolicy:{}", self.authored.policy.name());
        self.desired.policy = Policy::None;
        self.desired.nameservers.splice(0..0, nameservers);
        self.desired.searches.splice(0..0, searches);
        self.inject(cluster_file::ENTRY, Some(replaced));
    }

    /// Returns the change with nothing but fixed zeros.
    fn without_additions(self, options: &[PodOption], context: &Context<'_>) -> Self {
        let Self { authored, notes, .. } = self;
        let mut change = Self { notes, ..Self::unchanged(&authored, &Injected::default(), context) };
        change.removed = (0..options.len()).filter(|index| options[*index].is_injected).collect();
        change.notes.push(format!(
            "profile {} not applied: musl drops an options line of over {} characters",
            context.profile.name,
            musl::LINE_MAX
        ));
        change.fix_zeros(&[]);
        change
    }

    /// Adds a note for each conflict of an author's option with the profile.
    fn note_conflicts(&mut self, row: &[String], context: &Context<'_>) {
        let authored: Vec<String> =
            self.authored.effective_options().map(|index| self.authored.options[index].text()).collect();
        for option in row {
            let conflicts = |text: &&String| same_name(text, option) && *text != option && !is_zero(text);
            let Some(authored) = authored.iter().find(conflicts) else { continue };
            let name = &context.profile.name;
            let is_kept = self.desired.options.iter().any(|other| other.text() == *authored);
            self.notes.push(if is_kept {
                format!("kept the pod's own {authored} (profile {name}: {option})")
            } else {
                format!("profile {name} replaced the pod's own {authored} by {option}")
            });
        }
    }
}

/// Returns whether a later pass can restore the option from the annotation: it is the only one of its name, and written as options
/// should be.
fn can_be_restored(option: &PodOption, options: &[PodOption]) -> bool {
    let text = option.authored.text();
    let is_a_word =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || is_hidden(c) || matches!(c, '(' | ')'));
    let with_that_name = options.iter().filter(|other| same_name(&other.authored.text(), &text)).count();
    is_a_word && DnsOption::parse(&text) == option.authored && with_that_name == 1
}

/// Returns whether the text has an option of zero that muslin fixes.
fn is_zero(text: &str) -> bool {
    FIXED_AT_ZERO.iter().any(|(name, _)| resolver::zero_digits(text, name).is_some())
}

/// Returns whether both texts set the same option, to any values.
fn same_name(one: &str, other: &str) -> bool {
    one.split(':').next() == other.split(':').next()
}

/// Returns whether only a built-in profile of 0.1.0 set this option, and the namespace's profile has no use for it.
pub(super) fn is_outdated(set: &str, context: &Context<'_>) -> bool {
    Injected::OUTDATED.contains(&set) && !context.profile.every_option().any(|option| option == set)
}

/// The options that decide when queries are sent, to which nameserver, and from which socket.
const SCHEDULE: [&str; 6] = ["timeout", "attempts", "rotate", "single-request", "single-request-reopen", "use-vc"];

/// Removes the row's options on the schedule of queries if the author chose another: `attempts:3` beside the author's `timeout:1` would
/// send a query every third of a second, and `single-request-reopen` beside it would lose the AAAA answer on glibc (measured, dns-lab
/// 1). Zeros, which muslin fixes, are no choice.
fn leave_the_schedule_to_the_author(
    row: &mut Vec<String>,
    authored: &Dns,
    context: &Context<'_>,
    notes: &mut Vec<String>,
) {
    let is_schedule = |text: &str| SCHEDULE.iter().any(|name| same_name(text, name));
    let chosen = authored.effective_options().map(|index| authored.options[index].text());
    let Some(chosen) = { chosen }.find(|text| is_schedule(text) && !is_zero(text) && !row.contains(text)) else {
        return;
    };
    let (left_out, rest): (Vec<String>, Vec<String>) = row.drain(..).partition(|option| is_schedule(option));
    *row = rest;
    let name = &context.profile.name;
    notes.push(match &*left_out {
        [option] if same_name(option, &chosen) => format!("kept the pod's own {chosen} (profile {name}: {option})"),
        [] => return,
        _ => format!("profile {name} adds no {} beside the pod's own {chosen}", left_out.join(" ")),
    });
}

/// Returns whether the additions make musl drop the whole options line. An unknown resolver may be musl.
fn exceeds_a_line_of_musl(change: &DnsChange, containers: &[Container<'_>], context: &Context<'_>) -> bool {
    let may_be_musl = |container: &Container<'_>| {
        matches!(container.resolver().family, Family::Musl | Family::Static | Family::Unknown)
    };
    if change.injected.is_empty() || !containers.iter().any(may_be_musl) {
        return false;
    }
    let allowance = if change.desired.policy.base() == Base::Node { NODE_OPTIONS_ALLOWANCE } else { 0 };
    let all_options: usize = change.desired.options.iter().map(|option| option.text().len() + 1).sum();
    let longest = "options".len() + " ".len() + CLUSTER_NDOTS.len() + all_options;
    longest + allowance > musl::LINE_MAX
        && change.desired.resolv_conf(context.namespace, context.cluster_domain).options_line_len() + allowance
            > musl::LINE_MAX
}

/// Marks the option that an earlier pass added with the policy `None`. `ClusterFirst` implies it.
fn remove_cluster_ndots(options: &mut [PodOption], earlier: &Injected) {
    let is_claimed = earlier.options.iter().any(|entry| entry.option == CLUSTER_NDOTS && entry.replaced.is_none());
    let ndots = options.iter_mut().rfind(|option| !option.is_injected && option.authored.text() == CLUSTER_NDOTS);
    if let Some(option) = ndots.filter(|_| is_claimed) {
        option.is_injected = true;
    }
}
