//! The rotation in a simulated cluster with its own clock: a Secret and two configurations that reject writes made from an older
//! version, API servers and replicas that learn of every change late, and people who break things. The certificates are real.

use jiff::{SignedDuration, ToSpan as _};

use super::*;

mod any_events;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn spec() -> CertificateSpec {
    CertificateSpec::for_service("muslin", "muslin", "cluster.local")
}

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// An object with its history: each content and the time of its write. The version is the number of writes.
#[derive(Clone, Debug)]
struct Versions<T>(Vec<(Timestamp, T)>);

impl<T: Clone> Versions<T> {
    fn newest(&self) -> &T {
        &self.0.last().unwrap().1
    }

    /// Returns the contents that an observer may take for the newest, who learns of changes at most `late` later.
    fn believed(&self, now: Timestamp, late: SignedDuration) -> impl Iterator<Item = &T> {
        let ends = self.0.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        self.0.iter().zip(ends).filter(move |(_, end)| end.is_none_or(|end| end > now - late)).map(|((_, it), _)| it)
    }
}

#[derive(Clone, Debug, Default)]
struct Configuration {
    trusted: Vec<Certificate>,
    revision: u64,
    /// A stranger wrote it, or muslin overwrote a stranger's content from an older Secret.
    is_broken: bool,
}

/// The cluster as a leader knows it: each part with its version.
#[derive(Clone)]
struct View {
    state: (usize, State),
    configurations: [(usize, Configuration); 2],
}

struct World {
    now: Timestamp,
    spec: CertificateSpec,
    state: Versions<State>,
    configurations: [Versions<Configuration>; 2],
    /// The last time at which nothing was left to do.
    rested: Timestamp,
    /// False while the whole cluster sleeps.
    is_awake: bool,
}

impl World {
    fn new() -> Self {
        let now = start();
        let empty = || Versions(vec![(now, Configuration { is_broken: true, ..Configuration::default() })]);
        let state = Versions(vec![(now, State::default())]);
        Self { now, spec: spec(), state, configurations: [empty(), empty()], rested: now, is_awake: true }
    }

    /// Returns a cluster in which muslin has run for a while.
    fn settled() -> Self {
        let mut world = Self::new();
        world.run();
        world
    }

    fn view(&self) -> View {
        let configuration = |versions: &Versions<Configuration>| (versions.0.len(), versions.newest().clone());
        let [one, other] = &self.configurations;
        View {
            state: (self.state.0.len(), self.state.newest().clone()),
            configurations: [configuration(one), configuration(other)],
        }
    }

    fn publication(view: &View) -> Publication {
        let wanted = view.state.1.trusted();
        let configurations = view.configurations.each_ref().map(|(_, configuration)| configuration);
        let is_right = |configuration: &Configuration| {
            configuration.trusted.len() == wanted.len()
                && wanted.iter().all(|certificate| configuration.trusted.contains(certificate))
        };
        Publication {
            is_anywhere: true,
            is_right: configurations.iter().all(|configuration| is_right(configuration)),
            revision: configurations.iter().map(|configuration| configuration.revision).max().unwrap(),
            trusted: configurations.iter().flat_map(|configuration| configuration.trusted.clone()).collect(),
        }
    }

    /// Takes one step from a view of the cluster, stopped after `writes` of its writes.
    fn act(&mut self, view: &View, writes: usize) -> Step {
        let publication = Self::publication(view);
        let (version, state) = &view.state;
        let step = state.next_step(&publication, &self.spec, self.now);
        match step {
            Step::Idle => {}
            Step::Publish => {
                let is_old = *version < self.state.0.len();
                let both = self.configurations.iter_mut().zip(&view.configurations);
                for (versions, (version, before)) in both.take(writes) {
                    let trusted: Vec<Certificate> = state.trusted().into_iter().cloned().collect();
                    // As the API server does.
                    if versions.0.len() == *version && before.trusted != trusted {
                        let is_broken = before.is_broken && is_old;
                        let written = Configuration { trusted, revision: state.revision, is_broken };
                        versions.0.push((self.now, written));
                    }
                }
            }
            step => {
                let after = state.after(step, &publication, &self.spec, self.now).unwrap();
                if self.state.0.len() == *version {
                    self.state.0.push((self.now, after));
                }
            }
        }
        self.check();
        step
    }

    /// Takes all steps that are due, from an up-to-date view.
    fn run(&mut self) {
        for _ in 0..20 {
            let view = self.view();
            if self.act(&view, 2) == Step::Idle {
                self.rested = self.now;
                return;
            }
        }
        panic!("the rotation never becomes idle: {:?}", self.state.newest());
    }

    fn pass(&mut self, time: SignedDuration) {
        self.now += time;
        self.check();
    }

    fn break_configuration(&mut self, which: usize, configuration: Configuration) {
        self.configurations[which].0.push((self.now, Configuration { is_broken: true, ..configuration }));
    }

    /// Overwrites the state by force, which ends all guarantees of before.
    fn restore(&mut self, state: State) {
        self.state = Versions(vec![(self.now, state)]);
        for versions in &mut self.configurations {
            versions.0.last_mut().unwrap().1.is_broken = true;
        }
    }

    fn request(&mut self, request: RotationRequest) {
        let state = State { request: Some(request), ..self.state.newest().clone() };
        self.state.0.push((self.now, state));
    }

    /// Checks that every certificate that some replica may serve is valid and trusted by every API server, except through
    /// configurations that a stranger wrote.
    fn check(&self) {
        if !self.is_awake {
            return;
        }
        let late = self.spec.overlap;
        let heard: Vec<&Configuration> =
            self.configurations.iter().flat_map(|versions| versions.believed(self.now, late)).collect();
        for leaf in self.state.believed(self.now, late).filter_map(|state| state.leaf.as_ref()) {
            let leaf = &leaf.certificate;
            assert!(leaf.is_valid(self.now), "{} has expired at {}", leaf.until(), self.now);
            for configuration in heard.iter().filter(|configuration| !configuration.is_broken) {
                let is_trusted = configuration
                    .trusted
                    .iter()
                    .any(|authority| authority.is_valid(self.now) && leaf.is_issued_by(authority));
                assert!(is_trusted, "at {} no CA is trusted for {leaf:?}\n{configuration:?}", self.now);
            }
        }
    }

    fn leaf(&self) -> Certificate {
        self.state.newest().leaf.clone().unwrap().certificate
    }

    fn authority(&self) -> Certificate {
        self.state.newest().authority.clone().unwrap().certificate
    }

    fn trusted(&self) -> Vec<Certificate> {
        self.configurations[0].newest().trusted.clone()
    }
}

#[test]
fn an_empty_secret_is_filled_at_once() {
    let world = World::settled();
    assert!(world.leaf().is_issued_by(&world.authority()));
    assert_eq!(world.trusted(), [world.authority()]);
    assert_eq!(world.configurations[1].newest().trusted, [world.authority()]);
}

#[test]
fn certificates_are_what_an_api_server_asks_for() {
    let world = World::settled();
    let (leaf, authority) = (world.leaf(), world.authority());
    let leaf = x509_parser::pem::parse_x509_pem(leaf.pem.as_bytes()).unwrap().1;
    let leaf = leaf.parse_x509().unwrap();
    let authority = x509_parser::pem::parse_x509_pem(authority.pem.as_bytes()).unwrap().1;
    let authority = authority.parse_x509().unwrap();
    leaf.verify_signature(Some(authority.public_key())).unwrap();
    assert_eq!(leaf.subject().to_string(), "CN=muslin.muslin.svc");
    let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["DNSName(muslin.muslin.svc)", "DNSName(muslin.muslin.svc.cluster.local)"]);
    assert!(leaf.extended_key_usage().unwrap().unwrap().value.server_auth);
    assert!(leaf.basic_constraints().unwrap().is_none_or(|constraints| !constraints.value.ca));
    assert!(authority.basic_constraints().unwrap().unwrap().value.ca);
    // ECDSA on P-256.
    for certificate in [&leaf, &authority] {
        assert_eq!(certificate.public_key().algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
        assert_eq!(certificate.public_key().parsed().unwrap().key_size(), 256);
    }
    let seconds = |certificate: &x509_parser::prelude::X509Certificate<'_>| {
        let validity = certificate.validity();
        [validity.not_before.timestamp() - start().as_second(), validity.not_after.timestamp() - start().as_second()]
    };
    assert_eq!(seconds(&leaf), [-300, 30 * 86_400]);
    assert_eq!(seconds(&authority), [-300, 365 * 86_400]);
}

#[test]
fn renews_the_serving_certificate_after_two_thirds_of_its_lifetime() {
    let mut world = World::settled();
    let (leaf, authority) = (world.leaf(), world.authority());
    world.pass(DAY * 20 - HOUR);
    world.run();
    assert_eq!(world.leaf(), leaf);
    world.pass(HOUR);
    world.run();
    assert_ne!(world.leaf(), leaf);
    assert_eq!(world.authority(), authority);
}

#[test]
fn replaces_a_ca_in_overlapping_steps() {
    let mut world = World::settled();
    let old = world.authority();
    while world.trusted().len() == 1 {
        world.pass(DAY);
        world.run();
    }
    let days = world.now.duration_since(start()).as_hours() / 24;
    assert_eq!(days, 244, "a third of a year before its end");
    let leaf = world.leaf();
    let new = world.state.newest().next.clone().unwrap().certificate;
    assert_eq!(world.trusted(), [old.clone(), new.clone()]);
    world.pass(MINUTE * 4);
    world.run();
    assert_eq!((world.leaf(), world.authority()), (leaf, old.clone()));
    world.pass(MINUTE);
    world.run();
    assert_eq!(world.authority(), new);
    assert!(world.leaf().is_issued_by(&new));
    assert!(world.trusted().contains(&old));
    world.pass(MINUTE * 5);
    world.run();
    assert_eq!(world.trusted(), [new]);
}

#[test]
fn rotates_for_five_years() {
    let mut world = World::settled();
    let (mut leaves, mut authorities) = (0, 0);
    let end = start().to_zoned(jiff::tz::TimeZone::UTC).checked_add(5.years()).unwrap().timestamp();
    while world.now < end {
        let before = (world.leaf(), world.authority());
        world.pass(HOUR * 7);
        world.run();
        leaves += u32::from(world.leaf() != before.0);
        authorities += u32::from(world.authority() != before.1);
    }
    assert_eq!(authorities, 7);
    assert!((88..=98).contains(&leaves), "{leaves}");
}

#[test]
fn a_foreign_ca_stays_trusted_until_all_replicas_have_a_new_certificate() {
    let mut world = World::new();
    let foreign = spec().new_authority(world.now).unwrap().certificate;
    for which in 0..2 {
        world.break_configuration(which, Configuration { trusted: vec![foreign.clone()], ..Configuration::default() });
    }
    world.run();
    assert_eq!(world.trusted(), [world.authority(), foreign]);
    world.pass(spec().overlap);
    world.run();
    assert_eq!(world.trusted(), [world.authority()]);
}

#[test]
fn refills_a_lost_secret_while_replicas_serve_their_old_certificate() {
    let mut world = World::settled();
    let old = world.authority();
    world.restore(State::default());
    world.run();
    assert_eq!(world.trusted(), [world.authority(), old]);
    assert!(world.state.newest().revision > world.configurations[0].0[1].1.revision);
}

#[test]
fn publishes_the_cas_of_a_secret_from_a_backup() {
    let mut world = World::settled();
    let backup = world.state.newest().clone();
    world.request(RotationRequest::Authority);
    world.run();
    for _ in 0..2 {
        world.pass(world.spec.overlap);
        world.run();
    }
    assert_ne!(world.authority(), backup.authority.as_ref().unwrap().certificate);
    world.restore(backup);
    world.run();
    assert_eq!(world.trusted(), [world.authority()]);
    assert!(world.leaf().is_issued_by(&world.authority()));
}

#[test]
fn refills_an_emptied_configuration_and_restarts_the_overlap() {
    let mut world = World::settled();
    world.request(RotationRequest::Authority);
    world.run();
    world.pass(MINUTE * 4);
    let old = world.authority();
    world.break_configuration(1, Configuration { revision: 9, ..Configuration::default() });
    world.run();
    assert_eq!(world.configurations[1].newest().trusted.len(), 2);
    world.pass(MINUTE * 4);
    world.run();
    assert_eq!(world.authority(), old, "some API server has known the new CA for only four minutes");
    world.pass(MINUTE);
    world.run();
    assert_ne!(world.authority(), old);
}

#[test]
fn replaces_a_serving_certificate_of_a_ca_that_no_api_server_trusts() {
    let mut world = World::settled();
    let foreign = spec().new_authority(world.now).unwrap();
    let leaf = spec().new_leaf(&foreign, world.now).unwrap();
    world.restore(State { leaf: Some(leaf.clone()), ..world.state.newest().clone() });
    world.is_awake = false;
    world.run();
    assert_ne!(world.leaf(), leaf.certificate);
    assert!(world.leaf().is_issued_by(&world.authority()));
}

#[test]
fn replaces_a_ca_without_its_key_while_its_certificate_is_served() {
    let mut world = World::settled();
    let (leaf, orphan) = (world.leaf(), world.authority());
    let state = world.state.newest().clone();
    world.restore(State { authority: None, retired: vec![orphan.clone()], ..state });
    world.run();
    assert_eq!(world.leaf(), leaf, "until every API server knows the new CA");
    assert!(world.trusted().contains(&orphan));
    for _ in 0..2 {
        world.pass(world.spec.overlap);
        world.run();
    }
    assert_ne!(world.authority(), orphan);
    assert!(world.leaf().is_issued_by(&world.authority()));
    assert_eq!(world.trusted(), [world.authority()]);
}

#[test]
fn a_forged_revision_does_not_end_the_rotation() {
    let mut world = World::settled();
    world.break_configuration(0, Configuration { revision: u64::MAX, ..Configuration::default() });
    world.run();
    assert_eq!(world.trusted(), [world.authority()]);
}

#[test]
fn makes_only_a_ca_while_there_is_no_configuration() {
    let nowhere = Publication { is_anywhere: false, is_right: true, revision: 0, trusted: Vec::new() };
    let state = State::default();
    assert_eq!(state.next_step(&nowhere, &spec(), start()), Step::CreateNext);
    let state = state.after(Step::CreateNext, &nowhere, &spec(), start()).unwrap();
    assert_eq!(state.next_step(&nowhere, &spec(), start()), Step::Idle);
}

#[test]
fn makes_a_new_certificate_for_other_names() {
    let mut world = World::settled();
    world.spec = CertificateSpec::for_service("muslin", "muslin", "example.internal");
    let before = world.leaf();
    world.run();
    assert_ne!(world.leaf(), before);
    assert!(world.leaf().is_for(&world.spec.names));
    let before = world.leaf();
    world.run();
    assert_eq!(world.leaf(), before);
}

#[test]
fn makes_everything_anew_after_a_year_of_sleep() {
    let mut world = World::settled();
    let (leaf, authority) = (world.leaf(), world.authority());
    world.is_awake = false;
    world.pass(DAY * 400);
    world.run();
    assert_ne!((world.leaf(), world.authority()), (leaf, authority));
    assert!(world.leaf().is_valid(world.now));
}

#[test]
fn does_not_renew_a_certificate_again_that_ends_with_its_ca() {
    let mut world = World::settled();
    world.now += DAY * 365 - MINUTE;
    let state = world.state.newest();
    let authority = state.authority.clone().unwrap();
    let leaf = Some(world.spec.new_leaf(&authority, world.now).unwrap());
    world.restore(State { leaf, ..state.clone() });
    world.run();
}
