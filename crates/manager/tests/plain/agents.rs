//! Agents find the manager that is in place.

use std::sync::{Arc, Mutex};

use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_manager::{Agent, Agents, Link, SecretKey, SettleManager};
use stillpoint_restore::Outcome;

use crate::Plain;

/// Agents that note who they belong to.
#[derive(Clone, Debug, Default)]
struct Fleet {
    endpoints: Arc<Mutex<Vec<(String, String)>>>,
    own: String,
    deaf: Option<&'static str>,
}

impl Link for Fleet {
    fn agents(&self) -> Result<Vec<Agent>> {
        let all = self.endpoints.lock().unwrap();
        let agent = |(id, at): &(String, String)| Agent {
            id: id.clone(),
            endpoint: at.as_str().into(),
        };
        Ok(all.iter().map(agent).collect())
    }

    fn verify(&self, agent: &Agent) -> Result<()> {
        let all = self.endpoints.lock().unwrap();
        let there = all
            .iter()
            .any(|(id, at)| *id == agent.id && agent.endpoint == at.as_str());
        match there && self.deaf != Some(&agent.id) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Unavailable, "no answer")),
        }
    }

    fn switch(&self, agent: &Agent) -> Result<Agent> {
        let endpoint = self.own.as_str().into();
        let switched = Agent {
            endpoint,
            ..agent.clone()
        };
        self.switch_back(&switched)?;
        Ok(switched)
    }

    fn switch_back(&self, agent: &Agent) -> Result<()> {
        let mut all = self.endpoints.lock().unwrap();
        let found = all.iter_mut().find(|(id, _)| *id == agent.id).unwrap();
        found.1 = agent.endpoint.as_str().unwrap().to_owned();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_find_the_restored_manager_and_the_old_one_after_an_undo() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let fleet = Fleet::default();
    let old = |id: &str| (id.to_owned(), "old".to_owned());
    *fleet.endpoints.lock().unwrap() = vec![old("a"), old("b"), old("c")];
    let with = |own: &str, deaf| {
        let fleet = Fleet {
            own: own.to_owned(),
            deaf,
            ..fleet.clone()
        };
        Plain::new(archives.path(), &key, |it| {
            it.component("agents", Agents::new(fleet).after(["files"]))
        })
    };
    with("old", None).capture("one").await.unwrap();
    let endpoints = || {
        let all = fleet.endpoints.lock().unwrap();
        all.iter().map(|(_, at)| at.clone()).collect::<Vec<_>>()
    };

    let second = with("new", None);
    let restored = second.restore("one").await.unwrap();
    assert_eq!(
        restored.outcome,
        Some(Outcome::Completed),
        "{:?}",
        restored.error
    );
    assert_eq!(endpoints(), ["new", "new", "new"]);
    let undo = SettleManager {
        restore: restored.id,
        undo: true,
    };
    second
        .run(&undo.request())
        .await
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(endpoints(), ["old", "old", "old"]);

    let third = with("newer", Some("b"));
    let restored = third.restore("one").await.unwrap();
    assert!(
        matches!(restored.outcome, Some(Outcome::PartiallyFailed { .. })),
        "{restored:?}"
    );
    assert_eq!(
        endpoints(),
        ["newer", "old", "newer"],
        "one that is deaf keeps no other from it"
    );
}
