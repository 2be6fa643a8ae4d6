//! The claim for pods whose author set options: what a profile adds beside them makes no lookup worse than the author's own options.

#[cfg(test)]
mod tests {
    use muslin::image::{Fingerprint, Reason};
    use muslin::plan::{Context, plan};
    use muslin::pod::Pod;
    use muslin::policy::Profile;
    use muslin::resolver::{Family, Version};
    use serde_json::{Value, json};

    use crate::claim::harm;
    use crate::faults::{self, Fault};
    use crate::stubs;

    /// Options as people write them.
    const AUTHORED: [&[&str]; 14] = [
        &[],
        &["timeout:1"],
        &["timeout:2"],
        &["timeout:10"],
        &["attempts:1"],
        &["attempts:5"],
        &["timeout:1", "attempts:5"],
        &["timeout:5", "attempts:2"],
        &["single-request"],
        &["single-request-reopen"],
        &["single-request-reopen", "timeout:1"],
        &["rotate"],
        &["edns0"],
        &["ndots:2"],
    ];

    /// Returns the options of a pod on musl, by author and profile.
    fn planned(authored: &[&str], profile: &Profile) -> Vec<String> {
        let options = authored.iter().map(|option| {
            let (name, value) = option.split_once(':').map_or((*option, None), |(name, value)| (name, Some(value)));
            json!({ "name": name, "value": value })
        });
        let options: Vec<Value> = options.collect();
        let containers = [json!({ "name": "app", "image": "registry.example.com/app" })];
        let mut pod = json!({ "spec": { "containers": containers, "dnsConfig": { "options": options } } });
        let text = pod.to_string();
        let parsed: Pod<'_> = serde_json::from_str(&text).unwrap();
        let musl = Family::Musl.at(Version::new(1, 2, 5));
        let known = Fingerprint::inspected(musl, Reason::Fixed("the model says so"));
        let patch = plan(&parsed, vec![known], &Context::usual(profile)).unwrap().patch;
        json_patch::patch(&mut pod, &patch).unwrap();
        let options = pod["spec"]["dnsConfig"]["options"].as_array().unwrap().iter().map(|option| {
            let name = option["name"].as_str().unwrap();
            option["value"].as_str().map_or_else(|| name.to_owned(), |value| format!("{name}:{value}"))
        });
        options.collect()
    }

    #[test]
    fn three_attempts_make_no_lookup_worse_beside_any_option_of_the_author() {
        let profile = Profile::builtin("three-attempts").unwrap();
        let faults: Vec<Fault> = faults::all().into_iter().filter(|fault| fault.servers() == 1).collect();
        let all = stubs::all();
        let stubs: Vec<_> = all.iter().filter(|stub| stub.name == "musl 1.2.5").collect();
        let mut added = 0;
        for authored in AUTHORED {
            let planned = planned(authored, &profile);
            let with: Vec<&str> = planned.iter().map(String::as_str).collect();
            added += usize::from(with != authored);
            for stub in &stubs {
                let worse = if with == authored { None } else { harm(stub, &faults, authored, &with) };
                assert!(worse.is_none(), "{authored:?} became {with:?}: {worse:#?}");
            }
        }
        // Nothing is added beside a schedule of the author.
        assert_eq!(added, 3, "no option, edns0 and ndots:2");
    }

    #[test]
    fn the_default_profile_leaves_the_options_of_every_author() {
        for authored in AUTHORED.into_iter().filter(|authored| !authored.is_empty()) {
            assert_eq!(planned(authored, &Profile::default()), authored);
        }
    }
}
