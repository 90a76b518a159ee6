use stillpoint_iaas::conformance::{Held, Rule, run};

use crate::bed::Bed;

/// `STILLPOINT_OPENSTACK_RULES` names the rules to try, with spaces between; all by default.
#[test]
#[ignore = "needs a cloud: lab/test.sh starts one and runs this"]
fn every_rule_is_kept() {
    let wanted = std::env::var("STILLPOINT_OPENSTACK_RULES").unwrap_or_default();
    let wanted: Vec<_> = wanted.split_whitespace().collect();
    let mut broken = Vec::new();
    for rule in Rule::ALL {
        if !wanted.is_empty() && !wanted.contains(&rule.name()) {
            continue;
        }
        let began = std::time::Instant::now();
        let verdict = run(*rule, async { Bed::new() });
        let took = began.elapsed().as_secs();
        match verdict {
            Ok(Held::Kept) => println!("{rule}: kept, {took} s"),
            Ok(Held::NotPromised(why)) => println!("{rule}: not promised: {why}, {took} s"),
            Err(breach) => {
                println!("{rule}: BROKEN: {breach}, {took} s");
                broken.push(*rule);
            }
        }
    }
    assert!(broken.is_empty(), "broken: {broken:?}");
}
