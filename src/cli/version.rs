//! muslin's version, as `--version` and the log show it.

use std::sync::LazyLock;

/// Returns the release, with the commit if the build named it in `MUSLIN_COMMIT`, as `scripts/release` does. A build needs no git,
/// and is not repeated after each commit.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let release = env!("CARGO_PKG_VERSION");
        option_env!("MUSLIN_COMMIT").map_or_else(|| release.to_owned(), |commit| format!("{release} ({commit})"))
    });
    &VERSION
}
