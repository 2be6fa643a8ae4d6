//! Judges the `ndots` of a ResolverProfile by a log: the names that its pods asked for and would lose. Must not know how the log was
//! read.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use kube::ResourceExt as _;

use crate::cli::outcome::{Failure, Outcome};
use crate::cli::terminal;
use crate::cluster::{ProfileProblem, ResolverProfile, SelectedProfile};
use crate::queries::{Evidence, Pods, SearchedName, Summary, WorkloadName};
use crate::resolver::Family;
use crate::text::Line;

/// A profile to judge.
pub(super) struct Judged {
    resource: ResolverProfile,
    selected: SelectedProfile,
}

/// A name that a profile loses, or sends outside first.
struct Lost<'e> {
    ndots: u32,
    family: Family,
    workload: &'e WorkloadName,
    name: &'e SearchedName,
}

// === impl Judged ===

impl Judged {
    /// Reads a profile from a file. A profile that a cluster would not accept is judged too, with a note.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let resource: ResolverProfile =
            serde_saphyr::from_str(&text).with_context(|| format!("{shown} is no ResolverProfile"))?;
        let selected = SelectedProfile::selector_of(&resource).map_err(|problem| anyhow!("{shown}: {problem}"))?;
        let problems = SelectedProfile::from_resource(&resource, true);
        let problems = problems.map_or_else(|problems| problems, |accepted| accepted.unaccepted().to_vec());
        if !problems.is_empty() {
            let why = ProfileProblem::join(&problems);
            terminal::note(&Line::new(format!("a cluster does not accept the profile {}: {why}", resource.name_any())));
        }
        Ok(Self { resource, selected })
    }

    /// Fails if the profile's `ndots` loses a name of the log. With `no_leaks` a name that a resolver would first ask for outside of the
    /// cluster counts, too.
    pub(super) fn judge(&self, pods: &Pods, summary: &Summary, evidence: &[Evidence], no_leaks: bool) -> Outcome {
        let name = self.resource.name_any();
        let (mut checked, mut lost, mut leaked) = (0, Vec::new(), Vec::new());
        for one in evidence.iter().filter(|one| self.is_for(pods, one)) {
            checked += 1;
            let Some(ndots) = self.ndots_for(&one.uses) else { continue };
            let of = |(family, name)| Lost { ndots, family, workload: &one.workload, name };
            for family in families(&one.uses) {
                lost.extend(one.lost(family, ndots).map(|name| of((family, name))));
            }
            if !one.may_be_musl() {
                let family = families(&one.uses).next().unwrap_or(Family::Unknown);
                leaked.extend(one.leaked(ndots).map(|name| of((family, name))));
            }
        }
        if checked == 0 {
            return Err(Failure::Input(anyhow!("the log has no query of a pod that the profile {name} selects")));
        }
        if no_leaks {
            lost.append(&mut leaked);
        }
        if let Some(first) = leaked.first() {
            let says = first.says(&name, "first asks outside of the cluster for", leaked.len());
            terminal::note(&Line::new(format!("{says}. An outside name of the same spelling would win (--no-leaks)")));
        }
        if let Some(first) = lost.first() {
            let verb = if no_leaks { "loses or leaks" } else { "loses" };
            return Err(Failure::Found(Line::new(first.says(&name, verb, lost.len()))));
        }
        let queries = summary.queries;
        terminal::note(&Line::new(format!(
            "the profile {name} loses no name of {checked} workloads in {queries} queries"
        )));
        Ok(())
    }

    fn is_for(&self, pods: &Pods, evidence: &Evidence) -> bool {
        let WorkloadName { namespace, .. } = &evidence.workload;
        let namespaces = self.selected.namespaces();
        let selected = pods.workloads_with(namespace, |labels| self.selected.selects(|| labels.clone()));
        (namespaces.is_empty() || namespaces.contains(namespace)) && selected.contains(&evidence.workload)
    }

    /// Returns the lowest `ndots` that a pod with these resolvers gets; `None` if its rows set none.
    fn ndots_for(&self, uses: &BTreeSet<Family>) -> Option<u32> {
        let options = &self.resource.spec.options;
        if uses.contains(&Family::Musl) {
            return options.lowest_ndots([&options.musl, &options.mixed], true);
        }
        let only = |family| uses.len() == 1 && uses.contains(&family);
        if only(Family::Glibc) {
            return options.lowest_ndots([options.glibc.as_ref().unwrap_or(&options.others)], false);
        }
        if only(Family::Go) {
            return options.lowest_ndots([options.go.as_ref().unwrap_or(&options.others)], false);
        }
        if uses.contains(&Family::Unknown) || uses.is_empty() {
            return options.musl_ndots();
        }
        options.lowest_ndots([&options.others], false)
    }
}

/// Returns the resolvers to judge by: an unknown one where none is known.
fn families(uses: &BTreeSet<Family>) -> impl Iterator<Item = Family> {
    let unknown = uses.is_empty().then_some(Family::Unknown);
    uses.iter().copied().chain(unknown)
}

// === impl Lost ===

impl Lost<'_> {
    fn says(&self, profile: &str, verb: &str, all: usize) -> String {
        let Self { ndots, family, workload: WorkloadName { namespace, kind, name: workload }, name } = self;
        let more = if all > 1 { format!(", and {} more", all - 1) } else { String::new() };
        let resolver = match family {
            Family::Static | Family::Unknown => "musl (the resolver is unknown)",
            family => family.name(),
        };
        let (name, found) = (&name.name, &name.found);
        format!(
            "with ndots:{ndots} of the profile {profile}, {resolver} {verb} {name} of {namespace}/{kind}/{workload}, found as \
             {found}{more}"
        )
    }
}
