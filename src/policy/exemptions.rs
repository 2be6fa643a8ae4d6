//! The images and service accounts that a profile exempts.

use std::collections::BTreeSet;

use crate::image::{InvalidPrefix, Prefix, Reference};

/// The exempt images and service accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exemptions {
    images: Vec<Prefix>,
    /// `namespace/name`.
    accounts: BTreeSet<String>,
}

// === impl Exemptions ===

impl Exemptions {
    /// Exempts the images whose reference begins with `prefix`.
    ///
    /// # Errors
    /// No reference can begin so.
    pub fn add_image(&mut self, prefix: &str) -> Result<(), InvalidPrefix> {
        self.images.push(Prefix::parse(prefix)?);
        Ok(())
    }

    /// Exempts the pods of a service account, `namespace/name`.
    pub fn add_account(&mut self, account: impl Into<String>) {
        self.accounts.insert(account.into());
    }

    /// Returns the exempt service accounts, each `namespace/name`.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(String::as_str)
    }

    /// Returns whether an image is exempt.
    pub fn is_exempt_image(&self, image: &str) -> bool {
        !self.images.is_empty()
            && Reference::parse(image).is_ok_and(|reference| self.images.iter().any(|prefix| prefix.begins(&reference)))
    }

    /// Returns whether the pods of a service account are exempt.
    pub fn is_exempt_account(&self, namespace: &str, name: &str) -> bool {
        !self.accounts.is_empty() && self.accounts.contains(&format!("{namespace}/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_exempt_by_the_beginning_of_its_reference() {
        let mut exempt = Exemptions::default();
        exempt.add_image("registry.example.com/vendor").unwrap();
        assert!(exempt.is_exempt_image("registry.example.com/vendor/agent:1"));
        assert!(!exempt.is_exempt_image("registry.example.com/vendors/agent:1"));
        assert!(!exempt.is_exempt_image("::"));
    }

    #[test]
    fn a_service_account_is_exempt_in_its_own_namespace_only() {
        let mut exempt = Exemptions::default();
        exempt.add_account("ci/builder");
        assert!(exempt.is_exempt_account("ci", "builder"));
        assert!(!exempt.is_exempt_account("shop", "builder"));
    }
}
