use std::sync::Arc;

use stillpoint_core::{ErrorKind, World};

use crate::batch::{Batch, Guard};
use crate::conflict::Conflict;
use crate::conformance::{Broken, Verdict, ensure};
use crate::entry::Revision;
use crate::state::State;

pub(super) async fn check(state: Arc<dyn State>) -> Verdict {
    let mut batch = Batch::new();
    batch.put("there", Guard::Absent, "1");
    let old = state.commit(batch).await?.revision;
    let mut batch = Batch::new();
    batch.put("there", Guard::At(old), "2");
    let new = state.commit(batch).await?.revision;

    for (key, guard, holds) in [
        ("missing", Guard::Absent, true),
        ("missing", Guard::Any, true),
        ("missing", Guard::At(Revision::ZERO), false),
        ("missing", Guard::At(new), false),
        ("there", Guard::Absent, false),
        ("there", Guard::Any, true),
        ("there", Guard::At(old), false),
        ("there", Guard::At(new), true),
        ("there", Guard::At(new.next()), false),
    ] {
        // With a write and without, and beside a write of another key.
        let mut alone = Batch::new();
        alone.require(key, guard);
        let mut beside = alone.clone();
        beside.put("beside", Guard::Any, "1");
        for batch in [alone, beside] {
            let outcome = state.commit(batch).await;
            ensure!(
                outcome.is_ok() == holds,
                "`{key}` to be {guard}: holds is {holds}, and the commit says {outcome:?}"
            );
        }
    }
    conflict_names_all(&*state, new).await
}

async fn conflict_names_all(state: &dyn State, there: Revision) -> Verdict {
    let mut batch = Batch::new();
    batch
        .require("there", Guard::Absent)
        .require("missing", Guard::At(there))
        .put("beside", Guard::Any, "2");
    let Err(error) = state.commit(batch).await else {
        return Err(Broken("two guards that fail are passed over".to_owned()));
    };
    ensure!(
        error.kind() == ErrorKind::Conflict && error.world() == World::Untouched,
        "a conflict is {:?}, leaving the world {:?}",
        error.kind(),
        error.world()
    );
    let Some(conflict) = Conflict::of(&error) else {
        return Err(Broken(
            "the source of a conflict is no `Conflict`".to_owned(),
        ));
    };
    let seen: Vec<_> = conflict
        .refusals()
        .iter()
        .map(|refusal| (refusal.key.as_str(), refusal.demanded, refusal.found))
        .collect();
    let due = [
        ("missing", Guard::At(there), None),
        ("there", Guard::Absent, Some(there)),
    ];
    ensure!(
        seen == due,
        "a conflict is {seen:?} where it should be {due:?}"
    );
    Ok(())
}
