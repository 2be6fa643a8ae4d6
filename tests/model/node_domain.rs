//! A pod with musl whose profile drops the node's search domains (`search: cluster`), compared with its twin that has them.

#[cfg(test)]
mod tests {
    use crate::claim::{Lookup, is_worse, look_up_in};
    use crate::faults::{self, Fault, NODE_SEARCH, SEARCH, WILDCARD};
    use crate::stubs::{self, Stub};

    fn musls() -> Vec<Stub> {
        stubs::all().into_iter().filter(|stub| stub.name.starts_with("musl")).collect()
    }

    /// Returns a lookup with the node's domain, and without.
    fn twins(stub: &Stub, fault: &Fault, number: u64) -> [Lookup; 2] {
        [&NODE_SEARCH[..], &SEARCH[..]].map(|search| look_up_in(search, stub, fault, &[], number))
    }

    fn is_right(lookup: &Lookup) -> bool {
        lookup.found.any() && lookup.found.v4 != WILDCARD
    }

    #[test]
    fn every_release_of_musl_finds_no_name_with_a_broken_domain_and_each_without_it() {
        for stub in musls() {
            for fault in faults::of_the_node_s_domain() {
                let [before, after] = twins(&stub, &fault, 0);
                assert!(!is_right(&before), "{}, {}: {before:?}", stub.name, fault.title);
                assert!(is_right(&after), "{}, {}: {after:?}", stub.name, fault.title);
            }
        }
    }

    #[test]
    fn no_lookup_is_worse_without_the_domain() {
        for stub in musls() {
            for fault in faults::all() {
                for number in 0..fault.lookups.min(20) {
                    // Losses by chance strike other packets where there are fewer.
                    if fault.title.ends_with("of packets lost") {
                        continue;
                    }
                    let [before, after] = twins(&stub, &fault, number);
                    let is_healthy = fault.title == "none";
                    assert!(
                        !is_worse(before, after, is_healthy),
                        "{}, {}: {before:?} {after:?}",
                        stub.name,
                        fault.title
                    );
                    assert!(!is_healthy || after.queries < before.queries, "{}: {before:?} {after:?}", stub.name);
                }
            }
        }
    }

    /// Pods without musl keep the domain: glibc and Go go on, except behind a wildcard.
    #[test]
    fn the_resolvers_that_go_on_need_no_other_search_list() {
        for stub in stubs::all().iter().filter(|stub| stub.name.starts_with("glibc 2.4") || stub.name == "go") {
            for fault in faults::of_the_node_s_domain() {
                let [before, _] = twins(stub, &fault, 0);
                let is_wildcard = fault.title.ends_with("every name");
                assert_eq!(is_right(&before), !is_wildcard, "{}, {}: {before:?}", stub.name, fault.title);
            }
        }
    }
}
