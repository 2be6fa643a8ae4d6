//! The engine's answers for the kinds of images of one profile, kept while an installation's images come and go: an image of a known kind
//! needs no new answer. Must not know objects.

use super::cases::{Cases, KindTexts, kind_texts};
use super::denials;
use super::engine::Engine;
use super::images::{Images, Kind};
use super::settings::Settings;
use crate::policy::Profile;

/// The most kinds of images beside the webhook, which handles the others: each one costs time to ask and space in the policies.
const KINDS_MAX: usize = 48;

/// The answers for the kinds of images of one profile.
#[derive(Debug, Default)]
pub struct Answers {
    /// The settings that the answers depend on.
    asked: Option<(Profile, String, usize)>,
    kinds: Vec<Kind>,
    pub(super) cases: Cases,
    pub(super) texts: Vec<KindTexts>,
    pub(super) denied: denials::Entries,
}

// === impl Answers ===

impl Answers {
    /// Sorts the images into kinds, and asks the engine where their kinds are new.
    pub(super) fn ask(&mut self, settings: &Settings<'_>) -> Images {
        let Settings { profile, images, cluster_domain, cluster_nameservers, webhooks, .. } = *settings;
        let asked = Some((profile.clone(), cluster_domain.to_owned(), cluster_nameservers));
        if self.asked != asked {
            *self = Self { asked, ..Self::default() };
        }
        let (most, threads) = match webhooks {
            None => (usize::MAX, None),
            // Reviews come first.
            Some(_) => (KINDS_MAX, Some(1)),
        };
        let images = Images::new(images, profile, self.kinds.clone(), most);
        if images.kinds.len() > self.kinds.len() || self.texts.is_empty() {
            let engine = Engine { profile, cluster_domain, cluster_nameservers };
            self.cases = Cases::ask(&engine, &images.kinds, threads);
            self.texts = kind_texts(&engine, &images.kinds);
            self.denied = denials::entries(&engine, &images.kinds);
            self.kinds.clone_from(&images.kinds);
        }
        images
    }
}
