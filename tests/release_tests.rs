//! A release: its archives, its image and its packages, and that its programs run where they must. The tests of a whole release need the
//! folder that `scripts/release` filled, in the variable `MUSLIN_RELEASE`, and root:
//!
//! ```text
//! scripts/release /tmp/release
//! MUSLIN_RELEASE=/tmp/release cargo test --test release -- --ignored
//! ```

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it is")]
#![expect(clippy::disallowed_methods, reason = "what waits for processes here runs on no runtime's thread")]

mod common {
    pub(crate) mod image;
    pub(crate) mod registry;
}

mod release {
    mod archives;
    mod images;
    mod packages;
    pub(crate) mod release_folder;
    mod userlands;
}
