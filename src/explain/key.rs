//! The page about a label or an annotation of muslin: who writes it, where, and its meaning. Must not know how a key is read.

use super::page::Page;
use crate::image::Evidence;
use crate::pod::{
    DOCTOR_ANNOTATION, IGNORE_ANNOTATION, INJECT_ANNOTATION, INJECTED_ANNOTATION, LIBC_LABEL, POLICIES_ANNOTATION,
    RESOLVERS_ANNOTATION, ROLLOUT_KEY, WARNINGS_ANNOTATION,
};
use crate::policy::{MODE_LABEL, Mode, PROFILE_LABEL, Profile, SELF_LABEL};
use crate::resolver::{Family, Resolver};

/// A label or an annotation.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) name: &'static str,
    /// The one who writes it, and the object.
    pub(super) written: &'static str,
    /// The meaning of its value.
    pub(super) meaning: &'static str,
}

/// All keys of objects that muslin reads or writes.
pub(super) static KEYS: [Key; 17] = [
    Key {
        name: MODE_LABEL,
        written: "You write this label on a namespace.",
        meaning: "The value is the mode: what muslin does with the pods of the namespace.",
    },
    Key {
        name: PROFILE_LABEL,
        written: "You write this label on a namespace.",
        meaning: "The value is the name of the profile that the namespace's pods get: a built-in one or a ResolverProfile.",
    },
    Key {
        name: INJECT_ANNOTATION,
        written: "You write this annotation on a pod or in a pod template.",
        meaning: "`\"false\"` opts the pod out. Mode `enforce` ignores that, with a warning.",
    },
    Key {
        name: IGNORE_ANNOTATION,
        written: "You write this annotation on a pod, in a pod template or on the workload that holds it.",
        meaning: "The value names the rules to silence there: `rule-a,rule-b`.",
    },
    Key {
        name: RESOLVERS_ANNOTATION,
        written: "muslin writes this annotation on pods, in mode `warn` and above.",
        meaning: "The value has the resolver of each container, as in `app=musl-1.2.4 (inspected), web=glibc-2.36+c-ares (inspected)`.",
    },
    Key {
        name: WARNINGS_ANNOTATION,
        written: "muslin writes this annotation on pods, in mode `warn` and above.",
        meaning: "The value has one line for each finding of level `warn` or `deny`, also for those that muslin fixed, and one for each note on \
                  the profile. `muslin explain RULE` explains a line.",
    },
    Key {
        name: INJECTED_ANNOTATION,
        written: "muslin writes this annotation on pods, in mode `inject` and above.",
        meaning: "The value lists the options that muslin set, and the author's values that they replaced.",
    },
    Key {
        name: POLICIES_ANNOTATION,
        written: "muslin's admission policies write this annotation on pods that they change instead of the webhook, with `serve --policies`.",
        meaning: "The value lists the images that they knew, for the webhook's configuration. It may change in any release.",
    },
    Key {
        name: LIBC_LABEL,
        written: "muslin writes this label on pods, in mode `warn` and above.",
        meaning: "The value is what all containers have in common: `musl`, `glibc`, `other`, `unknown`, or `mixed` if they differ.",
    },
    Key {
        name: ROLLOUT_KEY,
        written: "muslin writes this label and this annotation on pods that are created while a profile with `spec.rollout` rolls out, in mode \
                  `warn` and above.",
        meaning: "The label is `canary` for a pod with new settings, and `stable` for one with the last promoted settings: \
                  `kubectl get pods -A -l muslin.dev/rollout=canary`. The annotation also names the profile and the settings, as in \
                  `web@5f3c2a1b=canary`. The pod keeps both after the rollout.",
    },
    Key {
        name: SELF_LABEL,
        written: "muslin's manifests write this label on muslin's namespace; with Helm, you do.",
        meaning: "The value is `true`. The webhook configurations skip the namespace by it, whatever the namespace's name.",
    },
    Key {
        name: "muslin.dev/ndots-evidence",
        written: "You write this annotation on a ResolverProfile, as `muslin queries -o profile` prints it.",
        meaning: "The value is a JSON object with the evidence that the profile's `ndots` loses no name.",
    },
    Key {
        name: "muslin.dev/rotate",
        written: "You write this annotation on the Secret `muslin-certificates`, and muslin removes it.",
        meaning: "`authority` or `certificate`: what muslin makes anew at once.",
    },
    Key {
        name: "muslin.dev/certificates-revision",
        written: "muslin writes this annotation on its webhook configurations, for itself.",
        meaning: "The value is the revision of the Secret that `caBundle` is from. It may change in any release.",
    },
    Key {
        name: "muslin.dev/results-hash",
        written: "muslin writes this annotation on its reports of findings, with `serve --reports`, for itself.",
        meaning: "The value stands for the results, so that muslin does not write an unchanged report. It may change in any release.",
    },
    Key {
        name: "muslin.dev/results-left-out",
        written: "muslin writes this annotation on a report of findings that has no room for all of them, with `serve --reports`.",
        meaning: "The value is the number of findings that are left out.",
    },
    Key {
        name: DOCTOR_ANNOTATION,
        written: "`muslin doctor` writes this annotation on a pod that it asks for as a dry run, for itself.",
        meaning: "The value is muslin's answer. It may change in any release.",
    },
];

// === impl Key ===

impl Key {
    /// Returns the page about this key.
    pub(super) fn page(&self) -> Page {
        let Self { name, written, meaning } = self;
        let mut page = Page::titled(format_args!("`{name}`"));
        page.paragraph(written);
        page.paragraph(meaning);
        match *name {
            MODE_LABEL => page.items(Mode::ALL.map(|mode| format!("`{mode}`: {}.", mode.summary()))),
            PROFILE_LABEL => {
                page.items(Profile::NAMES.map(|name| format!("`{name}`: `muslin explain profile {name}`")))
            }
            RESOLVERS_ANNOTATION => write_evidence(&mut page),
            _ => {}
        }
        page
    }
}

fn write_evidence(page: &mut Page) {
    page.heading("The words in brackets");
    let declared = "an administrator declared it, in a ResolverProfile or an ImageFingerprint";
    page.items([
        format!("`{}`: muslin read it in the image's files.", Evidence::Inspected),
        format!("`{}`: the image name suggests it.", Evidence::Assumed),
        format!("`{}`: {declared}.", Evidence::Declared),
        "`unknown` without such a word: nothing shows the resolver.".to_owned(),
    ]);
    page.heading("`+c-ares`");
    page.paragraph(beside(Family::Glibc.unversioned()));
    page.paragraph(
        "`muslin inspect IMAGE` names the file that has c-ares, and `muslin explain c-ares` says what c-ares honours.",
    );
}

/// Returns the page about a container whose program has c-ares beside the resolver of its C library.
pub(super) fn beside_page(text: &str, resolver: Resolver) -> Page {
    let mut page = Page::titled(format_args!("`{text}`"));
    page.paragraph(beside(resolver));
    page.heading("More");
    page.items([
        format!("`muslin explain {}`: the C library's resolver.", resolver.to_string().replace(' ', "-")),
        format!("`muslin explain {}`: the other one.", Family::CAres.name()),
        "`muslin inspect IMAGE`: the file that has c-ares.".to_owned(),
    ]);
    page
}

fn beside(resolver: Resolver) -> String {
    let library = resolver.family.name();
    format!(
        "The container's program has two resolvers: that of its C library, {library}, and c-ares. The program decides which of them looks a \
         name up. Node calls the C library for `http` and `dns.lookup`, and c-ares for `dns.resolve`. Programs that link Alpine's libcurl, \
         such as git, ask by c-ares for what they fetch. Findings are about {library}, and no advice names an option that c-ares ignores."
    )
}
