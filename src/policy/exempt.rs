//! What a profile leaves alone. Must not know why.

use std::collections::BTreeSet;

use crate::image::{InvalidPrefix, Prefix, Reference};

/// Images and service accounts that are left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exempt {
    images: Vec<Prefix>,
    /// `namespace/name`.
    accounts: BTreeSet<String>,
}

// === impl Exempt ===

impl Exempt {
    /// Leaves alone the images whose reference begins so.
    ///
    /// # Errors
    /// No reference can begin so.
    pub fn image(&mut self, prefix: &str) -> Result<(), InvalidPrefix> {
        self.images.push(Prefix::parse(prefix)?);
        Ok(())
    }

    /// Leaves alone the pods of a service account, `namespace/name`.
    pub fn account(&mut self, account: impl Into<String>) {
        self.accounts.insert(account.into());
    }

    /// Whether an image is left alone.
    pub fn is_image(&self, image: &str) -> bool {
        !self.images.is_empty()
            && Reference::parse(image).is_ok_and(|reference| self.images.iter().any(|prefix| prefix.begins(&reference)))
    }

    /// Whether the pods of a service account are left alone.
    pub fn is_account(&self, namespace: &str, name: &str) -> bool {
        !self.accounts.is_empty() && self.accounts.contains(&format!("{namespace}/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_exempt_by_the_beginning_of_its_reference() {
        let mut exempt = Exempt::default();
        exempt.image("registry.example.com/vendor").unwrap();
        assert!(exempt.is_image("registry.example.com/vendor/agent:1"));
        assert!(!exempt.is_image("registry.example.com/vendors/agent:1"));
        assert!(!exempt.is_image("::"));
    }

    #[test]
    fn a_service_account_is_exempt_in_its_own_namespace_only() {
        let mut exempt = Exempt::default();
        exempt.account("ci/builder");
        assert!(exempt.is_account("ci", "builder"));
        assert!(!exempt.is_account("shop", "builder"));
    }
}
