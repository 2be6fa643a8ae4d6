//! The list of all topics.

use super::alert::ALERTS;
use super::embedded::EMBEDDED;
use super::event_reason::reasons;
use super::key::KEYS;
use super::option;
use super::page::Page;
use super::resolver::summary;
use crate::policy::{Mode, Profile};
use crate::resolver::{Family, known_options};
use crate::rules::RULES;
use crate::verdicts::DIAGNOSES;

/// Returns the page that lists all topics.
pub fn index() -> String {
    let mut page = Page::titled("What muslin can explain");
    page.paragraph(
        "`muslin explain WHAT`, where WHAT is one of these; if a word is several of them, the first counts.",
    );
    page.heading("Rules");
    page.table(
        &["rule", "level", "finds"],
        RULES.iter().map(|rule| [rule.slug.to_owned(), rule.level.to_string(), rule.summary().to_owned()]),
    );
    page.heading("Verdicts of `muslin probe`");
    page.table(
        &["verdict", "meaning"],
        DIAGNOSES.iter().map(|diagnosis| [diagnosis.slug.to_owned(), diagnosis.summary().to_owned()]),
    );
    page.heading("Options");
    matrix(&mut page, |name| name.to_owned());
    page.heading("Resolvers");
    page.table(
        &["resolver", "description"],
        Family::KNOWN
            .into_iter()
            .chain([Family::Static, Family::Unknown])
            .map(|family| [family.name().to_owned(), summary(family).to_owned()]),
    );
    page.paragraph("A release may follow: `musl 1.2.3`, `glibc-2.36`.");
    page.heading("Resolvers inside programs");
    page.table(
        &["resolver", "description"],
        EMBEDDED.iter().map(|embedded| [embedded.slug.to_owned(), embedded.summary().to_owned()]),
    );
    page.heading("Profiles");
    page.table(
        &["profile", "purpose"],
        Profile::NAMES.into_iter().filter_map(|name| Some([name.to_owned(), Profile::builtin(name).ok()?.summary])),
    );
    page.paragraph("`profile single-request-reopen` is the profile, `single-request-reopen` the option.");
    page.heading("Modes of a namespace");
    page.table(&["mode", "meaning"], Mode::ALL.map(|mode| [mode.name().to_owned(), mode.summary().to_owned()]));
    page.heading("Reasons of Events");
    page.table(&["reason", "reports"], reasons().map(|(reason, about)| [reason.to_owned(), about.to_owned()]));
    page.heading("Alerts");
    page.table(&["alert", "meaning"], ALERTS.iter().map(|alert| [alert.name.to_owned(), alert.summary()]));
    page.heading("Labels and annotations");
    page.table(&["key", "who writes it"], KEYS.iter().map(|key| [key.name.to_owned(), key.written.to_owned()]));
    page.paragraph("So is a value of `muslin.dev/resolvers`: `glibc-2.36+c-ares`.");
    page.heading("Images");
    page.paragraph("Any image reference: `alpine:3.17`, `registry.example.com/team/app:1.2`.");
    page.into_text()
}

/// Writes a table of the options and the resolvers that act on them.
pub(super) fn matrix(page: &mut Page, first: impl Fn(&str) -> String) {
    let header = [&["option"][..], &Family::KNOWN.map(Family::name)].concat();
    page.table(
        &header,
        known_options().map(|name| {
            let mut cells = vec![first(name)];
            cells.extend(Family::KNOWN.map(|family| option::matrix_cell(family, name)));
            cells
        }),
    );
}
