//! The facts of one layer, and the file system that layers make together. Must not know what the files mean.

pub(crate) mod filesystem;
pub(crate) mod layer;
pub(crate) mod path;
