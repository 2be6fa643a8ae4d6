//! Parses any bytes as an image index or manifest, as an image's configuration and as a dockerconfigjson.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::registry::{Credentials, ImageConfig, IndexOrManifest, Limits};

fuzz_target!(|bytes: &[u8]| {
    let _ = IndexOrManifest::parse(bytes, &Limits::default());
    let _ = ImageConfig::parse(bytes);
    let _ = Credentials::parse(bytes);
});
