//! Resolvers inside programs that read resolv.conf themselves, one file each, whose doc comment is its documentation. muslin does not model
//! them: no image shows that its program has one. Must not know how pages are found.

mod curl;
mod dnspython;
mod embedded_resolver;
mod grpc;
mod hickory;
mod netty;

pub use embedded_resolver::EmbeddedResolver;

/// Every resolver inside programs that muslin can explain.
pub(super) static EMBEDDED: &[&EmbeddedResolver] =
    &[&curl::RESOLVER, &dnspython::RESOLVER, &grpc::RESOLVER, &hickory::RESOLVER, &netty::RESOLVER];

// === impl EmbeddedResolver ===

impl EmbeddedResolver {
    /// Returns the resolver that is called so.
    pub(super) fn named(text: &str) -> Option<&'static Self> {
        let text = text.to_ascii_lowercase();
        EMBEDDED.iter().copied().find(|resolver| resolver.slug == text || resolver.aliases.contains(&&*text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documentation;
    use crate::policy::Profile;
    use crate::resolver::{Family, known_option};

    #[test]
    fn each_says_where_it_is_used_how_it_fails_and_from_what_it_is_known() {
        for resolver in EMBEDDED {
            let documentation = documentation::doc_comment(resolver.source);
            assert!(resolver.summary().ends_with('.'), "{}: the first line is one sentence", resolver.slug);
            for part in ["Where it is used", "Lookups", "Failures", "Sources"] {
                assert!(documentation.contains(&format!("\n## {part}\n")), "{}: no {part:?}", resolver.slug);
            }
            let file = format!("include_str!(\"{}.rs\")", resolver.slug);
            assert!(resolver.source.contains(&file), "{}", resolver.slug);
            assert!(resolver.options.iter().all(|(name, _)| known_option(name)), "{}", resolver.slug);
        }
    }

    /// gRPC and curl hand the file to c-ares, so they read what the model of c-ares reads.
    #[test]
    fn what_embeds_c_ares_reads_what_c_ares_reads() {
        for slug in ["grpc", "curl"] {
            for (name, _) in EmbeddedResolver::named(slug).unwrap().options {
                let facts = Family::CAres.unversioned().facts(name);
                assert!(facts.into_iter().any(|fact| fact.option == *name), "{slug}: {name}");
            }
        }
    }

    #[test]
    fn the_options_of_profiles_that_it_reads_are_listed() {
        let dnspython = EmbeddedResolver::named("eventlet").unwrap();
        assert!(dnspython.reads("timeout:3") && !dnspython.reads("attempts:3"));
        let page = dnspython.page().into_text();
        for name in Profile::NAMES {
            let line = page.lines().find(|line| line.starts_with(&format!("- `{name}`: ")));
            assert!(line.is_some_and(|line| !line.contains("`attempts")), "{name}: {page}");
        }
    }
}
