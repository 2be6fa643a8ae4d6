//! The page about a mode: what muslin does with the pods of a namespace.

use super::page::Page;
use crate::policy::{MODE_LABEL, Mode};

pub(super) fn page(mode: Mode) -> Page {
    let mut page = Page::titled(format_args!("Mode `{mode}`"));
    page.paragraph("Each mode does all that the modes before it do.");
    page.items(
        Mode::ALL.into_iter().take_while(|other| *other <= mode).map(|mode| format!("`{mode}`: {}.", mode.summary())),
    );
    page.heading("While muslin is down");
    page.paragraph(match mode {
        Mode::Off => "Nothing changes.",
        Mode::Enforce => {
            "The API server rejects new pods, changed images and new ephemeral containers. Controllers try again. Another mode ends this."
        }
        Mode::Audit | Mode::Warn | Mode::Inject => "Pods are created unchanged.",
    });
    page.heading("How to set it");
    page.paragraph(format_args!("`kubectl label --overwrite namespace NAME {MODE_LABEL}={mode}`"));
    page.paragraph(format_args!(
        "Namespaces without the label have the mode that `muslin serve --default-mode` names, by default `{}`. muslin never sees the pods of \
         `kube-system` and of its own namespace.",
        Mode::default()
    ));
    page
}
