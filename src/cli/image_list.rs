//! Lists of images and of their resolvers, as people and muslin write them. Must not know what they are for.

use anyhow::{Context as _, anyhow};
use serde::Deserialize;

use crate::cluster::{FingerprintFacts, FingerprintNames, ImageFingerprint, NamedImage};
use crate::compilation::KnownImage;
use crate::image::{Evidence, Fingerprint, Reason, SecondResolver};
use crate::resolver::{Cgo, Resolver};

/// The images of a list.
#[derive(Default)]
pub(super) struct ImageList {
    /// The images.
    pub(super) images: Vec<KnownImage>,
    /// The images that were left out, in sentences.
    pub(super) notes: Vec<String>,
}

/// An image in the output of `muslin scan --images -o json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScannedImage {
    image: String,
    resolver: String,
    evidence: String,
    #[serde(default)]
    beside: Option<String>,
    #[serde(default)]
    cgo: Option<String>,
    #[serde(default)]
    holds_java: bool,
}

/// The output of `kubectl get imagefingerprints -o json`.
#[derive(Deserialize)]
struct FingerprintList {
    items: Vec<ImageFingerprint>,
}

/// Returns the images of a list of lines, or of a JSON document.
///
/// # Errors
/// The text is neither.
pub(super) fn parse_images(text: &str) -> anyhow::Result<ImageList> {
    if text.trim_start().starts_with('[') {
        let scanned: Vec<ScannedImage> =
            serde_json::from_str(text).context("this is not the output of `muslin scan --images -o json`")?;
        let images = scanned.into_iter().map(ScannedImage::known).collect::<anyhow::Result<_>>()?;
        return Ok(ImageList { images, notes: Vec::new() });
    }
    if text.trim_start().starts_with('{') {
        let problem = "this is neither the output of `muslin scan --images -o json` nor of `kubectl get imagefingerprints -o json`";
        let FingerprintList { items } = serde_json::from_str(text).context(problem)?;
        return Ok(of_fingerprints(&items));
    }
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.split('#').next().unwrap_or_default()));
    let images = lines.filter(|(_, line)| !line.trim().is_empty()).map(|(number, line)| {
        let (image, resolver) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        if resolver.trim().is_empty() {
            return Ok(KnownImage::by_name(image));
        }
        let resolver: Resolver = resolver.trim().parse().map_err(|error| anyhow!("line {number}: {error}"))?;
        Ok(KnownImage::with(image, Fingerprint::declared(resolver, Reason::Fixed("a file names it"))))
    });
    Ok(ImageList { images: images.collect::<anyhow::Result<_>>()?, notes: Vec::new() })
}

/// Returns the images that everybody may read, and notes on the others.
fn of_fingerprints(items: &[ImageFingerprint]) -> ImageList {
    let FingerprintNames { images, unclear, private, unread } =
        FingerprintNames::of(items.iter().map(FingerprintFacts::new).collect::<Vec<_>>().iter());
    let mut notes = Vec::new();
    if let Some(first) = unclear.first() {
        notes.push(format!(
            "{} names mean images with different resolvers, such as {first}, and are left out",
            unclear.len()
        ));
    }
    if private > 0 {
        notes.push(format!("{private} names of private images are left out"));
    }
    if unread > 0 {
        notes.push(format!("{unread} ImageFingerprints of another release of muslin are left out"));
    }
    let images = images.into_iter().map(|(name, NamedImage { fingerprint, .. })| KnownImage::with(name, fingerprint));
    ImageList { images: images.collect(), notes }
}

// === impl ScannedImage ===

impl ScannedImage {
    fn known(self) -> anyhow::Result<KnownImage> {
        let Self { image, resolver, evidence, beside, cgo, holds_java } = self;
        let is_read = [Evidence::Inspected, Evidence::Declared].into_iter().find(|known| known.name() == evidence);
        let Some(evidence) = is_read else { return Ok(KnownImage::by_name(image)) };
        // A resolver of its own that muslin does not know has no name to read.
        let Ok(resolver) = resolver.parse::<Resolver>() else { return Ok(KnownImage::by_name(image)) };
        let reason = Reason::Fixed("a scan found it");
        let cgo = match cgo.as_deref() {
            None => Cgo::Unknown,
            Some("none") => Cgo::Absent,
            Some(libc) => {
                let Resolver { family, version, cgo: _ } = libc.parse::<Resolver>()?;
                Cgo::Linked { libc: family, version }
            }
        };
        let second = |text: String| {
            let resolver = text.parse::<Resolver>()?;
            anyhow::Ok(SecondResolver { resolver, in_program: true, reason: reason.clone() })
        };
        let beside = beside.map(second).transpose()?;
        let read = Fingerprint::inspected(resolver.with_cgo(cgo), reason);
        Ok(KnownImage::with(image, Fingerprint { evidence, holds_java, beside, ..read }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(text: &str) -> Vec<String> {
        let images = parse_images(text).unwrap().images;
        let shown = |image: &KnownImage| {
            let fingerprint = image.fingerprint(None).map(|fingerprint| fingerprint.to_string());
            format!("{}: {}", image.name(), fingerprint.unwrap_or_default())
        };
        images.iter().map(shown).collect()
    }

    #[test]
    fn a_list_has_one_image_a_line_with_or_without_its_resolver() {
        let text = "# images\nalpine:3.19\n\n  example.com/app:1   musl 1.2.5 # ours\nexample.com/b\tglibc\n";
        let expected = [
            "alpine:3.19: musl 1.2.4 (assumed)",
            "example.com/app:1: musl 1.2.5 (declared)",
            "example.com/b: glibc (declared)",
        ];
        assert_eq!(names(text), expected);
        let error = parse_images("a\nb bionic").map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("line 2: `bionic` is not a resolver"), "{error}");
    }

    #[test]
    fn a_scan_names_images_and_what_was_read_in_them() {
        let text = r#"[{"schemaVersion":1,"image":"alpine:3.19","resolver":"musl 1.2.4","evidence":"assumed","because":"","pods":1},
                       {"image":"a/b","resolver":"musl 1.2.5","evidence":"inspected","beside":"c-ares 1.34.5"},
                       {"image":"a/d","resolver":"go 1.22","evidence":"inspected","cgo":"musl 1.2.5","holdsJava":true},
                       {"image":"a/c","resolver":"unknown","evidence":"none"}]"#;
        let expected = [
            "alpine:3.19: musl 1.2.4 (assumed)",
            "a/b: musl 1.2.5 (inspected)",
            "a/d: go 1.22 (inspected)",
            "a/c: unknown (none)",
        ];
        assert_eq!(names(text), expected);
        assert!(parse_images("{").is_err());
    }

    fn resource(name: &str, declared: Option<&str>, references: &Value) -> Value {
        let mut resource = json!({
            "apiVersion": "muslin.dev/v1alpha1", "kind": "ImageFingerprint", "metadata": { "name": name }, "spec": {},
            "status": {
                "resolver": "musl", "evidence": "inspected", "because": "", "image": "a", "digest": "sha256:0", "platform": "linux/amd64",
                "lastUsed": "2026-11-30T00:00:00Z", "references": references, "format": 0, "data": "",
            },
        });
        if let Some(declared) = declared {
            resource["spec"]["declared"] = json!(declared);
        }
        resource
    }

    #[test]
    fn fingerprints_of_a_cluster_name_what_everybody_may_read_and_what_is_certain() {
        let seen = |name: &str| json!({ "name": name, "at": "2026-11-30T00:00:00Z" });
        let secret = json!({ "name": "secret:1", "at": "2026-11-30T00:00:00Z", "reader": "team" });
        let items = [
            resource("one", Some("musl 1.2.5"), &json!([seen("app:1"), seen("moved:1"), secret])),
            resource("two", Some("glibc"), &json!([seen("moved:1")])),
            resource("old", None, &json!([seen("old:1")])),
        ];
        let ImageList { images, notes } = parse_images(&json!({ "kind": "List", "items": items }).to_string()).unwrap();
        assert_eq!(images.iter().map(KnownImage::name).collect::<Vec<_>>(), ["app:1"]);
        assert_eq!(
            notes,
            [
                "1 names mean images with different resolvers, such as moved:1, and are left out",
                "1 names of private images are left out",
                "1 ImageFingerprints of another release of muslin are left out",
            ]
        );
    }
}
