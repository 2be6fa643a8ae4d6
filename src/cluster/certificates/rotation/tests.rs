//! The clock is the test's own, and so is the cluster: a Secret and two configurations that refuse a write made from an older version,
//! API servers and replicas that hear of everything late, and people who break things. Certificates are real.

use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

fn terms() -> CertificateSpec {
    CertificateSpec::for_service("muslin", "muslin", "cluster.local")
}

fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// Something that is written again and again: what stood in it, and from when to when. Its version is the number of its writes.
#[derive(Clone, Debug)]
struct Versions<T>(Vec<(Timestamp, T)>);

impl<T: Clone> Versions<T> {
    fn newest(&self) -> &T {
        &self.0.last().unwrap().1
    }

    /// What somebody may believe to be the newest who hears of everything at most so late.
    fn believed(&self, now: Timestamp, late: SignedDuration) -> impl Iterator<Item = &T> {
        let ends = self.0.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        self.0.iter().zip(ends).filter(move |(_, end)| end.is_none_or(|end| end > now - late)).map(|((_, it), _)| it)
    }
}

#[derive(Clone, Debug, Default)]
struct Configuration {
    trusted: Vec<Certificate>,
    revision: u64,
    /// Whether somebody else wrote it, or muslin over what somebody else wrote and from an older Secret.
    is_broken: bool,
}

/// What a holder of the lease believes the cluster to be: each part with its version.
#[derive(Clone)]
struct View {
    state: (usize, State),
    configurations: [(usize, Configuration); 2],
}

struct World {
    now: Timestamp,
    terms: CertificateSpec,
    state: Versions<State>,
    configurations: [Versions<Configuration>; 2],
    /// Since when no holder has done all there was to do.
    rested: Timestamp,
    /// Whether anybody calls, or everything sleeps.
    is_awake: bool,
}

impl World {
    fn new() -> Self {
        let now = start();
        let empty = || Versions(vec![(now, Configuration { is_broken: true, ..Configuration::default() })]);
        let state = Versions(vec![(now, State::default())]);
        Self { now, terms: terms(), state, configurations: [empty(), empty()], rested: now, is_awake: true }
    }

    /// One in which muslin has run for a while.
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

    /// One step of somebody who believes that to be the cluster; stopped after so many of the writes that belong to it.
    fn act(&mut self, view: &View, writes: usize) -> Step {
        let publication = Self::publication(view);
        let (version, state) = &view.state;
        let step = state.next_step(&publication, &self.terms, self.now);
        match step {
            Step::Rest => {}
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
                let after = state.after(step, &publication, &self.terms, self.now).unwrap();
                if self.state.0.len() == *version {
                    self.state.0.push((self.now, after));
                }
            }
        }
        self.check();
        step
    }

    /// Everything that is to be done now, by somebody who knows the cluster as it is.
    fn run(&mut self) {
        for _ in 0..20 {
            let view = self.view();
            if self.act(&view, 2) == Step::Rest {
                self.rested = self.now;
                return;
            }
        }
        panic!("it does not come to rest: {:?}", self.state.newest());
    }

    fn pass(&mut self, time: SignedDuration) {
        self.now += time;
        self.check();
    }

    fn break_configuration(&mut self, which: usize, configuration: Configuration) {
        self.configurations[which].0.push((self.now, Configuration { is_broken: true, ..configuration }));
    }

    /// Puts a state there by force: from here on nothing that was promised before holds.
    fn restore(&mut self, state: State) {
        self.state = Versions(vec![(self.now, state)]);
        for versions in &mut self.configurations {
            versions.0.last_mut().unwrap().1.is_broken = true;
        }
    }

    fn wish(&mut self, wish: Wish) {
        let state = State { wish: Some(wish), ..self.state.newest().clone() };
        self.state.0.push((self.now, state));
    }

    /// Whatever API server calls whatever replica, the certificate that the replica has is valid, and trusted by what the API server
    /// has heard, unless that is what somebody else wrote.
    fn check(&self) {
        if !self.is_awake {
            return;
        }
        let late = self.terms.overlap;
        let heard: Vec<&Configuration> =
            self.configurations.iter().flat_map(|versions| versions.believed(self.now, late)).collect();
        for leaf in self.state.believed(self.now, late).filter_map(|state| state.leaf.as_ref()) {
            let leaf = &leaf.certificate;
            assert!(leaf.is_valid(self.now), "{} is over at {}", leaf.until(), self.now);
            for configuration in heard.iter().filter(|configuration| !configuration.is_broken) {
                let is_trusted = configuration
                    .trusted
                    .iter()
                    .any(|authority| authority.is_valid(self.now) && leaf.is_issued_by(authority));
                assert!(is_trusted, "at {} nobody trusts {leaf:?}\n{configuration:?}", self.now);
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
fn the_serving_certificate_is_renewed_when_two_thirds_of_its_time_are_over() {
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
fn a_ca_is_changed_in_overlapping_steps() {
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
fn years_pass() {
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
fn a_ca_that_somebody_brought_along_is_trusted_until_all_have_another() {
    let mut world = World::new();
    let foreign = terms().new_authority(world.now).unwrap().certificate;
    for which in 0..2 {
        world.break_configuration(which, Configuration { trusted: vec![foreign.clone()], ..Configuration::default() });
    }
    world.run();
    assert_eq!(world.trusted(), [world.authority(), foreign]);
    world.pass(terms().overlap);
    world.run();
    assert_eq!(world.trusted(), [world.authority()]);
}

#[test]
fn a_lost_secret_is_filled_anew_while_replicas_serve_what_they_know() {
    let mut world = World::settled();
    let old = world.authority();
    world.restore(State::default());
    world.run();
    assert_eq!(world.trusted(), [world.authority(), old]);
    assert!(world.state.newest().revision > world.configurations[0].0[1].1.revision);
}

#[test]
fn a_secret_from_a_backup_is_published_all_the_same() {
    let mut world = World::settled();
    let backup = world.state.newest().clone();
    world.wish(Wish::Authority);
    world.run();
    for _ in 0..2 {
        world.pass(world.terms.overlap);
        world.run();
    }
    assert_ne!(world.authority(), backup.authority.as_ref().unwrap().certificate);
    world.restore(backup);
    world.run();
    assert_eq!(world.trusted(), [world.authority()]);
    assert!(world.leaf().is_issued_by(&world.authority()));
}

#[test]
fn an_emptied_configuration_is_filled_and_a_rotation_waits_anew() {
    let mut world = World::settled();
    world.wish(Wish::Authority);
    world.run();
    world.pass(MINUTE * 4);
    let old = world.authority();
    world.break_configuration(1, Configuration { revision: 9, ..Configuration::default() });
    world.run();
    assert_eq!(world.configurations[1].newest().trusted.len(), 2);
    world.pass(MINUTE * 4);
    world.run();
    assert_eq!(world.authority(), old, "some API server has heard of the new CA for four minutes only");
    world.pass(MINUTE);
    world.run();
    assert_ne!(world.authority(), old);
}

#[test]
fn nothing_but_a_ca_is_made_while_there_is_no_configuration() {
    let nowhere = Publication { is_anywhere: false, is_right: true, revision: 0, trusted: Vec::new() };
    let state = State::default();
    assert_eq!(state.next_step(&nowhere, &terms(), start()), Step::Announce);
    let state = state.after(Step::Announce, &nowhere, &terms(), start()).unwrap();
    assert_eq!(state.next_step(&nowhere, &terms(), start()), Step::Rest);
}

#[test]
fn other_names_are_a_reason_for_another_certificate() {
    let mut world = World::settled();
    world.terms = CertificateSpec::for_service("muslin", "muslin", "example.internal");
    let before = world.leaf();
    world.run();
    assert_ne!(world.leaf(), before);
    assert!(world.leaf().is_for(&world.terms.names));
    let before = world.leaf();
    world.run();
    assert_eq!(world.leaf(), before);
}

#[test]
fn after_a_year_of_sleep_everything_is_made_anew_at_once() {
    let mut world = World::settled();
    let (leaf, authority) = (world.leaf(), world.authority());
    world.is_awake = false;
    world.pass(DAY * 400);
    world.run();
    assert_ne!((world.leaf(), world.authority()), (leaf, authority));
    assert!(world.leaf().is_valid(world.now));
}

#[test]
fn a_certificate_that_ends_with_its_ca_is_not_made_again_and_again() {
    let mut world = World::settled();
    world.now += DAY * 365 - MINUTE;
    let state = world.state.newest();
    let authority = state.authority.clone().unwrap();
    let leaf = Some(world.terms.new_leaf(&authority, world.now).unwrap());
    world.restore(State { leaf, ..state.clone() });
    world.run();
}

/// What happens to a cluster.
#[derive(Clone, Debug)]
enum Event {
    Pass(SignedDuration),
    /// A holder takes so many steps, and is stopped.
    Act(usize),
    /// A holder is stopped when it has written one configuration of two.
    Half,
    /// A holder decides by what was so for a while, or by an old Secret and new configurations, and wakes up much later.
    Old(Index),
    OldSecret(Index),
    /// Somebody else's apply.
    Empty(usize),
    Revert(usize, Index),
    Recreate(usize),
    Wish(Wish),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..60i64).prop_map(|minutes| Event::Pass(MINUTE * i32::try_from(minutes).unwrap())),
        3 => (1..72i64).prop_map(|hours| Event::Pass(HOUR * i32::try_from(hours).unwrap())),
        6 => (1..6usize).prop_map(Event::Act),
        2 => Just(Event::Half),
        2 => any::<Index>().prop_map(Event::Old),
        2 => any::<Index>().prop_map(Event::OldSecret),
        1 => (0..2usize).prop_map(Event::Empty),
        1 => (0..2usize, any::<Index>()).prop_map(|(which, index)| Event::Revert(which, index)),
        1 => (0..2usize).prop_map(Event::Recreate),
        1 => Just(Event::Wish(Wish::Certificate)),
        2 => Just(Event::Wish(Wish::Authority)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Stopped between any two writes, woken up with what was so long ago, and with configurations broken by others: whoever calls
    /// whom trusts him, and at the end all is in order.
    #[test]
    fn nobody_is_distrusted_whatever_happens(events in proptest::collection::vec(event(), 20..120)) {
        let mut world = World::settled();
        let mut views = vec![world.view()];
        for event in events {
            match event {
                // Nobody promises anything for a muslin that stands still for ten days.
                Event::Pass(time) if world.now + time > world.rested + DAY * 9 => world.run(),
                Event::Pass(time) => world.pass(time),
                Event::Act(steps) => for _ in 0..steps {
                    let view = world.view();
                    world.act(&view, 2);
                },
                Event::Half => {
                    let view = world.view();
                    world.act(&view, 1);
                }
                Event::Old(index) => {
                    let view = index.get(&views).clone();
                    world.act(&view, 2);
                }
                Event::OldSecret(index) => {
                    let view = View { state: index.get(&views).state.clone(), ..world.view() };
                    world.act(&view, 2);
                }
                Event::Empty(which) => {
                    let revision = world.configurations[which].newest().revision;
                    world.break_configuration(which, Configuration { revision, ..Configuration::default() });
                }
                Event::Revert(which, index) => {
                    let before = index.get(&world.configurations[which].0).1.clone();
                    world.break_configuration(which, before);
                }
                Event::Recreate(which) => world.break_configuration(which, Configuration::default()),
                Event::Wish(wish) => world.wish(wish),
            }
            views.push(world.view());
        }
        for _ in 0..4 {
            world.run();
            world.pass(world.terms.overlap);
        }
        world.run();
        let state = world.state.newest();
        prop_assert!(state.next.is_none() && state.retired.is_empty() && state.wish.is_none(), "{:?}", state);
        prop_assert_eq!(world.trusted(), [world.authority()]);
        prop_assert!(world.leaf().is_issued_by(&world.authority()) && !world.leaf().is_due(world.now));
    }
}
