//! The body of the fuzz target, which the fuzzer and `replay_corpus.rs` both run.

use std::sync::Arc;

use serde_json::Value;
use stillpoint_restore::{Directive, Machine, Plan, Record};

/// A machine takes any plan and records without panicking; what it refuses leaves it as it was, and
/// what it took makes the same machine again. The plan is on the first line, then a record a line.
pub(crate) fn journal_replay(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.lines();
    let Some(Ok(plan)) = lines.next().map(serde_json::from_str::<Plan<Value>>) else {
        return;
    };
    let stored = serde_json::to_string(&plan).unwrap();
    serde_json::from_str::<Plan<Value>>(&stored).expect("a plan can be stored");
    let plan = Arc::new(plan);
    let mut machine = Machine::new(plan.clone());
    let mut journal: Vec<Record<Value>> = Vec::new();
    for record in lines.filter_map(|line| serde_json::from_str(line).ok()) {
        let before = machine.clone();
        let checked = machine.check(&record);
        assert_eq!(machine.apply(&record), checked);
        match checked {
            Ok(()) => journal.push(record),
            Err(error) => assert!(machine == before, "{error} changed it"),
        }
        ask(&machine);
    }
    assert!(Machine::replay(plan, &journal).unwrap() == machine);
}

/// Whatever it was told, it can be asked.
fn ask(machine: &Machine<Value, Value>) {
    for directive in machine.ready(machine.clock()) {
        if let Directive::Begin(call) | Directive::Observe(call) = directive {
            assert!(machine.key("job", call).starts_with("job/"));
        }
    }
    let _ = machine.wakeup(machine.clock());
    let _ = (
        machine.mode(),
        machine.phase(),
        machine.progress(None),
        machine.can_stop().is_ok(),
    );
    let _ = machine.tree().to_string();
    if let Some(outcome) = machine.outcome() {
        assert!(!outcome.to_string().is_empty());
    }
}
