//! The rotation under events in any order: outages, lost objects, restored backups and sleep.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// An event in the cluster.
#[derive(Clone, Debug)]
enum Event {
    Pass(SignedDuration),
    /// A leader takes this many steps, and is stopped.
    Act(usize),
    /// A leader is stopped after it wrote one of the two configurations.
    Half,
    /// A leader acts on an old view, or on an old Secret with new configurations.
    Old(Index),
    OldSecret(Index),
    /// A stranger empties a configuration.
    Empty(usize),
    Revert(usize, Index),
    Recreate(usize),
    Request(RotationRequest),
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
        1 => Just(Event::Request(RotationRequest::Certificate)),
        2 => Just(Event::Request(RotationRequest::Authority)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Leaders are stopped between any two writes, act on old views, and find configurations that strangers broke: API servers trust
    /// the replicas all the time, and in the end everything is in order.
    #[test]
    fn every_replica_stays_trusted_whatever_happens(events in proptest::collection::vec(event(), 20..120)) {
        let mut world = World::settled();
        let mut views = vec![world.view()];
        for event in events {
            match event {
                // A muslin that stands still for ten days guarantees nothing.
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
                Event::Request(request) => world.request(request),
            }
            views.push(world.view());
        }
        for _ in 0..4 {
            world.run();
            world.pass(world.spec.overlap);
        }
        world.run();
        let state = world.state.newest();
        prop_assert!(state.next.is_none() && state.retired.is_empty() && state.request.is_none(), "{:?}", state);
        prop_assert_eq!(world.trusted(), [world.authority()]);
        prop_assert!(world.leaf().is_issued_by(&world.authority()) && !world.leaf().is_due(world.now));
    }
}
