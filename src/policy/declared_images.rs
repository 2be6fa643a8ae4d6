//! The resolvers that an administrator declares for images: for those that muslin cannot read, or whose names say nothing.

use std::sync::Arc;

use crate::image::{Evidence, Fingerprint, InvalidPrefix, Prefix, Reason, Reference};
use crate::resolver::Resolver;

/// Resolvers by the beginning of the image reference. The longest matching beginning counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeclaredImages {
    /// The longest prefix first.
    declarations: Vec<Declaration>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Declaration {
    prefix: Prefix,
    resolver: Resolver,
    /// The reason of every fingerprint by this declaration.
    because: Arc<str>,
}

// === impl DeclaredImages ===

impl DeclaredImages {
    /// Declares the resolver of the images whose reference begins with `prefix`. A later declaration of the same prefix replaces it.
    ///
    /// # Errors
    /// No reference can begin so.
    pub fn declare(&mut self, prefix: &str, resolver: Resolver) -> Result<(), InvalidPrefix> {
        let because = Arc::from(format!("it was declared so for `{prefix}`"));
        let prefix = Prefix::parse(prefix)?;
        self.declarations.retain(|declaration| declaration.prefix != prefix);
        let longer = |declaration: &Declaration| declaration.prefix.length() >= prefix.length();
        let index = self.declarations.partition_point(longer);
        self.declarations.insert(index, Declaration { prefix, resolver, because });
        Ok(())
    }

    /// Returns the fingerprint of an image with the declarations applied. They outrank an inspection of the image, but not a
    /// declaration for that image alone.
    pub fn apply(&self, image: &str, fingerprint: Fingerprint) -> Fingerprint {
        if self.declarations.is_empty() || fingerprint.evidence >= Evidence::Declared {
            return fingerprint;
        }
        let Ok(reference) = Reference::parse(image) else { return fingerprint };
        match self.declarations.iter().find(|declaration| declaration.prefix.begins(&reference)) {
            None => fingerprint,
            Some(Declaration { prefix: _, resolver, because }) => {
                let declared = Fingerprint::declared(*resolver, Reason::Text(Arc::clone(because)));
                Fingerprint { holds_java: fingerprint.holds_java, ..declared }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;
    use crate::resolver::{Family, Version};

    fn declared(declarations: &[(&str, &str)]) -> DeclaredImages {
        let mut declared = DeclaredImages::default();
        for (prefix, resolver) in declarations {
            declared.declare(prefix, resolver.parse().unwrap()).unwrap();
        }
        declared
    }

    fn resolver(declared: &DeclaredImages, image: &str) -> String {
        declared.apply(image, image::assume(image)).to_string()
    }

    #[test]
    fn the_longest_matching_prefix_counts() {
        let declared = declared(&[
            ("registry.example.com/", "glibc"),
            ("registry.example.com/team", "musl 1.2.5"),
            ("registry.example.com/team/app:1", "go"),
        ]);
        assert_eq!(resolver(&declared, "registry.example.com/other/app"), "glibc (declared)");
        assert_eq!(resolver(&declared, "registry.example.com/team/app:2"), "musl 1.2.5 (declared)");
        assert_eq!(resolver(&declared, "registry.example.com/team/app:1"), "go (declared)");
        assert_eq!(resolver(&declared, "registry.example.com/teamwork/app:1"), "glibc (declared)");
        assert_eq!(resolver(&declared, "alpine:3.19"), "musl 1.2.4 (assumed)");
    }

    #[test]
    fn the_later_of_two_declarations_of_one_prefix_counts() {
        let declared = declared(&[("alpine", "glibc"), ("docker.io/library/alpine", "go")]);
        assert_eq!(resolver(&declared, "alpine:3.19"), "go (declared)");
    }

    #[test]
    fn outranks_an_inspection_but_not_a_declaration_for_that_image_alone() {
        let mut known = image::assume("alpine:3.19");
        known.evidence = Evidence::Inspected;
        let declared = declared(&[("alpine", "glibc")]);
        assert_eq!(declared.apply("alpine:3.19", known.clone()).to_string(), "glibc (declared)");
        known.evidence = Evidence::Declared;
        assert_eq!(declared.apply("alpine:3.19", known.clone()), known);
    }

    #[test]
    fn an_invalid_reference_stays_unknown() {
        assert_eq!(resolver(&declared(&[("alpine", "glibc")]), "::"), "unknown (none)");
        assert_eq!(
            Family::Musl.at(Version::new(1, 2, 5)).to_string().parse(),
            Ok(Family::Musl.at(Version::new(1, 2, 5)))
        );
    }
}
