//! What muslin knows, for people to read: a rule, a verdict, an option, a resolver, an image reference; each as one page of Markdown.
//! All of it is taken from the floors below, so that a page says what the webhook does. Must not know of files or terminals.

mod example_cluster;
mod fault;
mod image;
mod index;
mod option;
mod page;
mod pages;
mod parts;
mod pod;
mod resolver;
mod rule;
mod terminal;
#[cfg(test)]
mod tests;
mod topic;

pub use index::index;
pub use pages::{Examples, MadePage, pages};
pub use parts::{MadePart, parts};
pub use terminal::for_terminal;
pub use topic::{Topic, UnknownTopic};
