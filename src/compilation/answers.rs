//! The engine's answers for the kinds of images of one profile, kept while an installation's images come and go: an image of a known kind
//! needs no new answer. Must not know objects.

use super::cases::{Cases, KindTexts, kind_texts};
use super::denials;
use super::engine::Engine;
use super::images::{Bounds, Images, Kind};
use super::settings::Settings;
use crate::policy::Profile;

/// The bounds beside the webhook, which handles the other images: each kind costs time to ask and space in the policies, and a policy must
/// be stored.
const BESIDE_THE_WEBHOOK: Bounds = Bounds { kinds: 48, bytes: TABLE_BYTES_MAX };

/// The most bytes of the table of images beside the webhook. The API server stores a policy of 1.5 MiB, which also has the cases.
pub const TABLE_BYTES_MAX: usize = 800_000;

/// Standalone, a policy that is too large is an error.
const STANDALONE: Bounds = Bounds { kinds: usize::MAX, bytes: usize::MAX };

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
        let (bounds, threads) = match webhooks {
            None => (STANDALONE, None),
            // Reviews come first.
            Some(_) => (BESIDE_THE_WEBHOOK, Some(1)),
        };
        let images = Images::new(images, profile, self.kinds.clone(), bounds);
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
