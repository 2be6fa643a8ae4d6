//! Pages for people about a rule, a verdict, an option, a resolver, a profile, a mode, an Event's reason, an alert, a key or an image, in
//! Markdown. Every fact comes from the floors below, so that a page says what the webhook does. Must not know of files or terminals.

mod alert;
mod embedded;
mod event_reason;
mod example_cluster;
mod image;
mod index;
mod key;
mod kinds;
mod mode;
mod option;
mod page;
mod pages;
mod parts;
mod pod;
mod profile;
mod resolver;
mod rule;
mod terminal;
#[cfg(test)]
mod tests;
mod topic;
mod verdict;

pub use alert::Alert;
pub use embedded::EmbeddedResolver;
pub use index::index;
pub use key::Key;
pub use pages::{Examples, GeneratedPage, pages};
pub use parts::{GeneratedPart, parts};
pub use terminal::for_terminal;
pub use topic::{Topic, UnknownTopic};
