//! The argument of commands that name the pages about rules.

use clap::Args;

use crate::rules::DocsUrl;

/// The argument.
#[derive(Debug, Args)]
pub(super) struct DocsArgs {
    /// The https address of muslin's folder docs, as developers reach it, for links to the page of each rule or verdict
    #[arg(long, value_name = "URL", env = "MUSLIN_DOCS_URL")]
    pub(super) docs_url: Option<DocsUrl>,
}
