//! Scripts of what may happen to a fleet.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::super::capacity::units;
use super::super::status::ScrapeOutcome;
use super::actions::{Action, actions};
use super::{Entry, World, run, run_attacked, run_in, run_script};
use crate::sharding::{Assignment, Hasher, Slice};

/// Runs the script of a failure again; the failure prints the command.
#[test]
#[ignore = "replays a failure"]
fn replay() {
    let Ok(script) = std::env::var("REPLAY") else { return };
    let (seed, replicas, attacked, script): (_, _, _, Vec<(u64, Action)>) = serde_json::from_str(&script).unwrap();
    run(seed, replicas, attacked, &script).unwrap();
}

/// Plays many random scripts and prints the command of each that fails.
#[test]
#[ignore = "takes long; MODEL_SCRIPTS is the number of scripts, MODEL_FROM the first of them"]
fn many_random_scripts_leave_no_gap_and_no_duplicate() {
    let of = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (from, scripts): (u64, u64) = (of("MODEL_FROM", 0), of("MODEL_SCRIPTS", 200));
    let mut failed = 0;
    for number in from..from + scripts {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), random);
        let tree = (any::<u64>(), 1_u32..5, any::<bool>(), actions()).new_tree(&mut runner).unwrap();
        let (seed, replicas, attacked, script) = tree.current();
        if let Err(error) = run(seed, replicas, attacked, &script) {
            failed += 1;
            println!("script {number}: {error}");
        }
    }
    assert_eq!(failed, 0, "of {scripts} scripts");
}

#[test]
fn scripts_that_failed_once_hold() {
    let scripts = [
        (2_117_632_850_677_133_553, 4, vec![(0, Action::CutPeers(0, 3, 31_801)), (0, Action::Crash(3, 10_201))]),
        (
            5_995_000_579_090_487_452,
            3,
            vec![(1_601, Action::Crash(2, 251)), (8_201, Action::Roll), (8_851, Action::Pause(1, 5_801))],
        ),
        (0, 1, vec![(0, Action::Pause(0, 20_751)), (0, Action::Scale(2))]),
        (
            751_693_465_242_072_788,
            3,
            vec![(1_901, Action::Roll), (1_001, Action::RefuseAll(17_751)), (8_751, Action::Pause(0, 4_501))],
        ),
        (
            9_892_395_343_095_336_530,
            3,
            vec![(13_653, Action::Deafen(0, 9_701)), (5_401, Action::RefuseAll(3_843)), (16_001, Action::Scale(4))],
        ),
        (
            234_596_064_233_409,
            3,
            vec![(2_451, Action::Refuse(1, 0, 30_901)), (0, Action::CutApi(0, 14_501)), (15_051, Action::Scale(1))],
        ),
    ];
    for (seed, replicas, script) in scripts {
        run_script(seed, replicas, &script).unwrap();
    }
}

/// They cannot tell this from an API server that is down. A new member, or the replacement of one of them, may reach it, and takes
/// their ranges over. What the invariants allow ends when one of them hears of that.
#[test]
fn members_that_lose_the_api_server_together_serve_until_one_hears_news() {
    let new_member = [(20_000, Action::CutApi(0, 60_000)), (0, Action::CutApi(1, 60_000)), (100, Action::Scale(3))];
    run_script(2, 2, &new_member).unwrap();
    let replacement = [
        (12_851, Action::Scale(2)),
        (29_857, Action::CutApi(1, 42_046)),
        (5_755, Action::Replace(0, 55_185, 33_306)),
        (29_801, Action::Scale(3)),
    ];
    run_script(9_109_257_934_179_137_914, 1, &replacement).unwrap();
    let only_present_member = [(0, Action::Roll), (13_751, Action::CutApi(1, 25_951))];
    run_script(984_953_772_719_074_892, 2, &only_present_member).unwrap();
}

/// The replaced process comes back without its Pod, and rejoins because its successor has ended. Then the next one starts.
#[test]
fn a_replaced_process_that_comes_back_ends_when_another_successor_starts() {
    let script =
        [(0, Action::Replace(1, 37_601, 1_000)), (551, Action::Stall(0, 1_000)), (12_251, Action::RollForeign(38_301))];
    run_script(0, 2, &script).unwrap();
}

#[test]
fn planned_changes_leave_no_gap_and_no_duplicate() {
    for seed in 0..4 {
        let script = [
            (5_000, Action::Scale(3)),
            (60_000, Action::Scale(2)),
            (60_000, Action::Roll),
            (10_000, Action::Scale(4)),
            (150_000, Action::Scale(1)),
        ];
        run_script(seed, 2, &script).unwrap();
    }
}

#[test]
fn a_hostile_peer_moves_nothing_and_delays_nothing() {
    for seed in 0..4 {
        let script = [
            (60_000, Action::Scale(3)),
            (60_000, Action::Scale(2)),
            (60_000, Action::Roll),
            (150_000, Action::Crash(1, 5_000)),
            (60_000, Action::Scale(4)),
        ];
        let world = run_attacked(seed, 2, &script).unwrap();
        let alive = world.processes.iter().filter(|process| process.alive);
        assert!(
            alive.clone().all(|process| process.machine.known_record().is_some_and(|record| record.current.total == 4))
        );
        assert!(alive.clone().all(|process| process.machine.status(world.clock(0)).contacts.len() == 3));
    }
}

#[test]
fn the_leases_of_former_members_are_deleted() {
    let script = [(30_000, Action::Scale(4)), (60_000, Action::Scale(2))];
    let mut world = run_script(5, 2, &script).unwrap();
    world.run_for(60_000).unwrap();
    assert_eq!(world.leases.keys().copied().collect::<Vec<_>>(), [0, 1]);
    for process in world.processes.iter().filter(|process| process.alive) {
        assert_eq!(process.machine.status(world.clock(0)).contacts.len(), 1);
    }
    // The ordinals may come back.
    world.act(&Action::Scale(3));
    world.settle(120_000).unwrap();
}

#[test]
fn a_fleet_recovers_from_a_crash_within_seconds() {
    for seed in 0..4 {
        let mut world = run_script(seed, 2, &[]).unwrap();
        world.act(&Action::Crash(0, 10_000));
        world.gaps_excused_until = world.now + 3_000;
        world.settle(120_000).unwrap();
    }
}

/// Returns how often a member was dismissed.
fn dismissals(world: &World) -> usize {
    world
        .log
        .iter()
        .filter(|(_, entry)| matches!(entry, Entry::Record(record) if !record.current.absent.is_empty()))
        .count()
}

#[test]
fn refused_connections_between_live_members_change_nothing() {
    let scripts = [
        vec![(1_000, Action::RefuseAll(60_000))],
        vec![(1_000, Action::Refuse(0, 1, 60_000)), (0, Action::Refuse(0, 2, 60_000))],
        vec![(1_000, Action::Refuse(1, 0, 60_000)), (0, Action::Refuse(2, 0, 60_000))],
        vec![(1_000, Action::Refuse(1, 2, 60_000))],
    ];
    for (seed, script) in scripts.iter().enumerate() {
        for replicas in [2, 3] {
            let mut world = run_script(seed as u64, replicas, script).unwrap();
            let (writes, leases) = (world.record_writes, world.log.len());
            world.run_for(60_000).unwrap();
            assert_eq!((world.record_writes - writes, dismissals(&world)), (0, 0), "{}", world.history.join("\n"));
            let leases = world.log.len() - leases;
            assert!(leases <= 120, "{leases} writes of Leases in a minute");
        }
    }
}

#[test]
fn a_deaf_member_with_refused_connections_dismisses_nobody() {
    for seed in 0..4 {
        let script =
            [(1_000, Action::Deafen(0, 8_000)), (0, Action::Refuse(0, 1, 8_000)), (0, Action::Refuse(0, 2, 8_000))];
        let mut world = run_script(seed, 3, &script).unwrap();
        world.run_for(30_000).unwrap();
        assert_eq!(dismissals(&world), 0, "{}", world.history.join("\n"));
    }
}

#[test]
fn a_fleet_restarts_after_all_members_crashed() {
    let mut world = run_script(7, 3, &[]).unwrap();
    for ordinal in 0..3 {
        world.act(&Action::Crash(ordinal, 1_000));
    }
    world.gaps_excused_until = world.now + 15_000;
    world.settle(60_000).unwrap();
}

#[test]
fn a_fleet_serves_after_a_loss_of_power_although_one_member_stays_away() {
    for seed in 0..4 {
        let mut world = run_script(seed, 4, &[]).unwrap();
        for ordinal in 0..4 {
            world.act(&Action::Crash(ordinal, if ordinal == 3 { 60_000 } else { 1_000 }));
        }
        world.gaps_excused_until = world.now + 60_000;
        world.run_for(5_000).unwrap();
        let (now, served) = (world.now, |world: &World| {
            world
                .points
                .iter()
                .filter(|p| (0..world.processes.len()).any(|process| world.exposes(process, **p)))
                .count()
        });
        assert!(served(&world) * 8 > world.points.len() * 5, "at {now}: {}", world.history.join("\n"));
        world.settle(200_000).unwrap();
    }
}

#[test]
fn no_switch_is_scheduled_before_every_serving_member_knows_the_record() {
    for seed in 0..8 {
        let pause = (5_000, Action::Pause(2, 6_000 + seed * 1_000));
        run_script(seed, 3, &[pause, (2_000, Action::Scale(2))]).unwrap();
    }
}

#[test]
fn a_changed_hash_is_handed_over() {
    let mut world = run_script(3, 3, &[]).unwrap();
    world.hash = Hasher::Fnv1a64;
    world.act(&Action::Roll);
    world.settle(200_000).unwrap();
    assert_eq!(world.record.unwrap().current.hash, Hasher::Fnv1a64);
}

#[test]
fn a_member_without_room_for_more_serves_its_own_share_alone() {
    let mut world = run_script(11, 3, &[]).unwrap();
    let own = |world: &World| -> Vec<Slice> {
        world.processes.iter().filter(|each| each.alive).map(|each| each.machine.status(world.clock(0)).owned).collect()
    };
    let before = own(&world);
    world.memory = Some(units(before[0].size()) + 1);
    world.run_for(10_000).unwrap();
    world.act(&Action::Crash(1, 60_000));
    world.run_for(30_000).unwrap();
    assert_eq!(world.processes[0].machine.status(world.clock(0)).untaken, [1]);
    assert_eq!(own(&world), [before[0].clone(), before[2].clone()]);
    // With room again, the others take over before the crashed member is back.
    world.memory = Some(u32::MAX);
    world.run_for(20_000).unwrap();
    let status = world.processes[0].machine.status(world.clock(0));
    assert_eq!((&*status.absent, &*status.untaken), (&[1][..], &[][..]));
    assert!(world.complete);
    world.settle(120_000).unwrap();
}

#[test]
fn nobody_is_asked_to_load_more_than_its_memory_holds() {
    for seed in 0..4 {
        let mut world = World::new(seed, 4);
        // Two shares of four, and a tolerance for what a handover holds twice.
        world.memory = Some(u32::MAX / 10 * 7);
        world.settle(60_000).unwrap();
        world.gaps_excused_until = 0;
        world.act(&Action::Scale(1));
        world.run_for(80_000).unwrap();
        assert!(world.complete, "those that leave serve until the end of their grace period");
        world.run_for(60_000).unwrap();
        let status = world.processes[0].machine.status(world.clock(0));
        assert_eq!(status.present, 1);
        assert!(!status.untaken.is_empty() && status.pending.is_some(), "{status:?}\n{}", world.history.join("\n"));
        // Memory solves it.
        world.memory = None;
        world.settle(120_000).unwrap();
    }
}

/// Returns the length of the longest `shardSelector` in bytes and the most ranges in one, in a fleet of `total` members.
fn selectors(total: u32, absent: &[u32]) -> (usize, usize) {
    let assignment = Assignment::with_absent(total, absent, &BTreeSet::new()).unwrap();
    let lengths = (0..total).map(|ordinal| {
        let ranges = assignment.ranges(ordinal);
        let text: usize = ranges
            .parts()
            .iter()
            .map(|(start, end)| format!("shardRange(object.metadata.uid,'{start:#018x}','{end:#018x}') || ").len())
            .sum();
        (text, ranges.parts().len())
    });
    lengths.max().unwrap()
}

#[test]
fn sixty_four_members_hand_over() {
    let (bytes, ranges) = selectors(64, &[]);
    assert!(ranges <= 110 && bytes <= 110 * 80, "{ranges} ranges in {bytes} bytes");
    let (bytes, ranges) = selectors(64, &[5, 17, 18, 63]);
    assert!(ranges <= 220 && bytes <= 220 * 80, "{ranges} ranges in {bytes} bytes");

    let mut world = World::new(64, 63);
    world.step = 250;
    world.start_delay = 500;
    world.settle(60_000).unwrap();
    world.gaps_excused_until = 0;
    world.act(&Action::Scale(64));
    world.settle(60_000).unwrap();
    world.act(&Action::Crash(5, 1_000));
    world.settle(120_000).unwrap();
    world.act(&Action::Roll);
    // The first few replacements are enough: all are alike.
    world.run_for(40_000).unwrap();
    let rolled = world.pods.values().filter(|pod| pod.revision == world.revision).count();
    assert!(rolled >= 3, "{rolled} members were replaced");
}

#[test]
#[ignore = "takes minutes"]
fn sixty_four_members_roll_scale_down_and_scale_up() {
    let mut world = World::new(65, 64);
    world.step = 250;
    world.start_delay = 500;
    world.settle(60_000).unwrap();
    world.gaps_excused_until = 0;
    world.act(&Action::Roll);
    world.settle(3_600_000).unwrap();
    for replicas in [32, 64] {
        world.act(&Action::Scale(replicas));
        world.settle(120_000).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_scripts_leave_no_gap_and_no_duplicate(seed: u64, replicas in 1_u32..5, script in actions()) {
        run_script(seed, replicas, &script)?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_scripts_under_attack_leave_no_gap_and_no_duplicate(seed: u64, replicas in 1_u32..5, script in actions()) {
        run_attacked(seed, replicas, &script)?;
    }
}

/// Returns when a notice of a fleet first contained a text.
fn first_notice(world: &World, text: &str) -> Option<u64> {
    let notice = world.history.iter().find(|line| line.contains(text))?;
    notice.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_seamless_switch_comes_when_all_scrapers_have_seen_the_timestamp() {
    for seed in [1, 4, 7, 10] {
        let script = [(1_000, Action::Scale(3)), (60_000, Action::Scale(2)), (60_000, Action::Roll)];
        let world = run_in(World { seamless: true, ..World::new(seed, 2) }, &script).unwrap();
        let stamped = first_notice(&world, "moving series have a timestamp for 5 s").expect("the series are stamped");
        let scheduled = first_notice(&world, "scheduled the switch").expect("there is a switch");
        let waited = scheduled - stamped;
        // The switch is 3 s ahead, and comes no earlier than the timestamp. A scraper that is late is waited for twice as long.
        assert!((1_500..=10_500).contains(&waited), "{waited} {:?}", world.history);
        for process in world.processes.iter().filter(|process| process.alive) {
            let status = process.machine.status(world.clock(0));
            let outcomes = status.scrape_outcomes.expect("the flag is set");
            let seamless = outcomes.get(&ScrapeOutcome::Seamless).copied().unwrap_or_default();
            assert!(seamless > 0, "{outcomes:?}");
            assert_eq!(outcomes.get(&ScrapeOutcome::Plain), None, "all have scrapers");
        }
    }
    let plain = run_script(2, 2, &[(1_000, Action::Scale(3))]).unwrap();
    assert_eq!(first_notice(&plain, "have a timestamp"), None);
}
