//! A profile as admission policies, which the API server evaluates by itself, with no muslin in the cluster. The engine is asked: for each
//! situation of a pod that policies can tell apart (`vocabulary`), `plan` gives the answer (`engine`), and the policy looks it up
//! (`cases`). So no rule and no row of options is written twice, and a pod in another situation stays as it is. Pure data; must not know
//! files or clusters.

mod answers;
mod bindings;
mod cases;
mod cel;
mod conditions;
mod denials;
mod engine;
mod groups;
mod images;
mod label_selector;
mod limits;
mod mark;
mod object_parts;
mod objects;
mod settings;
#[cfg(test)]
mod tests;
mod variables;
mod vocabulary;

pub use answers::{Answers, TABLE_BYTES_MAX};
pub use images::{KnownImage, LeftOut, usual_images};
pub use limits::{FEATURES, LIMITS, Limit};
pub use mark::{Covered, WEBHOOK_CONDITION, marks, webhook_condition};
pub use objects::{Compilation, TooLarge, compile, compile_again};
pub use settings::{ApiVersion, Reach, Settings, Webhooks};
