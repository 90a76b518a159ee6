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
    /// Who hears it, after which its manager breaks.
    breaks: Option<&'static str>,
    /// Who has gone for good.
    dead: Arc<Mutex<Option<&'static str>>>,
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
        assert!(self.breaks != Some(&agent.id), "as a test asked");
        Ok(switched)
    }

    fn switch_back(&self, agent: &Agent) -> Result<()> {
        if *self.dead.lock().unwrap() == Some(&agent.id) {
            return Err(Error::new(ErrorKind::Unavailable, "no answer"));
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_dead_keeps_no_undo_from_its_end() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let fleet = Fleet {
        own: "new".to_owned(),
        ..Fleet::default()
    };
    let old = |id: &str| (id.to_owned(), "old".to_owned());
    *fleet.endpoints.lock().unwrap() = vec![old("a"), old("b"), old("c")];
    let plain = Plain::new(archives.path(), &key, |it| {
        it.component("agents", Agents::new(fleet.clone()).after(["files"]))
    });
    plain.capture("one").await.unwrap();
    let restored = plain.restore("one").await.unwrap();
    assert_eq!(restored.outcome, Some(Outcome::Completed));
    *fleet.dead.lock().unwrap() = Some("b");
    let undo = SettleManager {
        restore: restored.id,
        undo: true,
    };
    let undone = plain.run(&undo.request()).await.unwrap();
    let outcome = undone.outcome.clone().unwrap();
    assert!(
        matches!(outcome, Outcome::PartiallyFailed { .. }),
        "{outcome}"
    );
    let said = format!("{:?}", undone.error);
    assert!(said.contains("agent b"), "{said}");
    let all = fleet.endpoints.lock().unwrap().clone();
    let all: Vec<_> = all.into_iter().map(|(_, at)| at).collect();
    assert_eq!(all, ["old", "new", "old"]);
    let again = plain.run(&undo.request()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound, "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_one_name_are_refused() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let fleet = Fleet::default();
    let twin = || ("a".to_owned(), "old".to_owned());
    *fleet.endpoints.lock().unwrap() = vec![twin(), twin()];
    let plain = Plain::new(archives.path(), &key, |it| {
        it.component("agents", Agents::new(fleet.clone()))
    });
    plain.capture("one").await.unwrap();
    let error = plain
        .restore("one")
        .await
        .unwrap()
        .into_result()
        .unwrap_err();
    assert!(
        error.to_string().contains("there are two agents a"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_nobody_noted_to_have_heard_it_is_told_the_old_one_too() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let fleet = Fleet {
        own: "new".to_owned(),
        breaks: Some("a"),
        ..Fleet::default()
    };
    *fleet.endpoints.lock().unwrap() = vec![("a".to_owned(), "old".to_owned())];
    let plain = Plain::new(archives.path(), &key, |it| {
        it.component("agents", Agents::new(fleet.clone()))
    });
    plain.capture("one").await.unwrap();
    let restored = plain.restore("one").await.unwrap();
    let at = || fleet.endpoints.lock().unwrap()[0].1.clone();
    assert_eq!(at(), "new");
    let undo = SettleManager {
        restore: restored.id,
        undo: true,
    };
    plain.run(&undo.request()).await.unwrap();
    assert_eq!(at(), "old");
}
