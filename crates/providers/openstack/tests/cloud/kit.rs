use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use stillpoint_iaas::conformance::{Held, Rule, run};

use crate::bed::Bed;

/// How many rules are tried at once, at most: most of their time they wait for the cloud.
const AT_ONCE: usize = 3;

/// `STILLPOINT_OPENSTACK_RULES` names the rules to try, with spaces between; all by default.
#[test]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
fn every_rule_is_kept() {
    let wanted = std::env::var("STILLPOINT_OPENSTACK_RULES").unwrap_or_default();
    let wanted: Vec<_> = wanted.split_whitespace().collect();
    for name in &wanted {
        let known = Rule::ALL.iter().any(|rule| rule.name() == *name);
        assert!(known, "{name} is no rule");
    }
    let named = |rule: &&Rule| wanted.is_empty() || wanted.contains(&rule.name());
    let rules: Vec<_> = Rule::ALL.iter().filter(named).collect();
    let (next, broken) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !is_kept(**rule) {
                        broken.lock().expect("nobody panicked").push(**rule);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("nobody panicked");
    assert!(broken.is_empty(), "broken: {broken:?}");
}

fn is_kept(rule: Rule) -> bool {
    let bed = async { Bed::new() };
    let began = Instant::now();
    let verdict = run(rule, bed);
    let took = began.elapsed().as_secs();
    match verdict {
        Ok(Held::Kept) => println!("{rule}: kept, {took} s"),
        Ok(Held::NotPromised(why)) => println!("{rule}: not promised: {why}, {took} s"),
        Err(breach) => {
            println!("{rule}: BROKEN: {breach}, {took} s");
            return false;
        }
    }
    true
}
