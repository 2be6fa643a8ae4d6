//! What one layer says, and the file system that layers make together. Must not know what the files mean.

pub(crate) mod filesystem;
pub(crate) mod layer;
