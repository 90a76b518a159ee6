//! A restore of some components and some tenants; and networks that are not here.

use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stillpoint_core::{ErrorKind, Result};
use stillpoint_manager::{Component, Dump, RestoreManager, SecretKey, Site, Stage};

use crate::Plain;

/// Can tell its tenants apart.
#[derive(Clone, Debug, Default)]
struct Tenants(Arc<Mutex<Option<Vec<String>>>>);

impl Component for Tenants {
    fn dump(&self, _: &mut Dump<'_, '_>) -> Result<()> {
        Ok(())
    }

    fn stage(&self, stage: &Stage<'_>) -> Result<()> {
        *self.0.lock().unwrap() = stage.tenants().map(<[String]>::to_vec);
        Ok(())
    }

    fn cut_over(&self, _: &Site) -> Result<()> {
        Ok(())
    }

    fn describe(&self, _: &Site) -> Value {
        json!({ "tenants": ["one", "two"] })
    }

    fn tenants(&self, about: &Value) -> Result<Option<Vec<String>>> {
        let tenants = about["tenants"].as_array().into_iter().flatten();
        Ok(Some(
            tenants
                .filter_map(|it| it.as_str().map(str::to_owned))
                .collect(),
        ))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_chosen_is_restored() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let told = Tenants::default();
    let new = || {
        let told = told.clone();
        Plain::new(archives.path(), &key, |it| it.component("told", told))
    };
    let source = new();
    fs::write(source.files().join("one"), "one").unwrap();
    source.capture("monday").await.unwrap();
    let wish = |components: &[&str], tenants: &[&str]| {
        let named = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        RestoreManager {
            components: Some(named(components)),
            tenants: (!tenants.is_empty()).then(|| named(tenants)),
            ..RestoreManager::of("monday")
        }
        .request()
    };

    let target = new();
    let restored = target.run(&wish(&["told"], &["two"])).await.unwrap();
    restored.into_result().unwrap();
    assert_eq!(
        told.0.lock().unwrap().as_deref(),
        Some(&["two".to_owned()][..])
    );
    assert_eq!(fs::read_dir(target.files()).unwrap().count(), 0);
    let restored = target.run(&wish(&["files"], &[])).await.unwrap();
    restored.into_result().unwrap();
    assert_eq!(fs::read(target.files().join("one")).unwrap(), b"one");

    let refused = async |components: &[&str], tenants: &[&str]| {
        let plan = new().engine.plan(&wish(components, tenants)).await;
        plan.unwrap().blocked_by
    };
    let said = refused(&["told"], &["two", "three"]).await;
    let wanted = "component told has nothing of tenant three in the archive, but of: one, two";
    assert_eq!(said, [wanted]);
    let said = refused(&["files", "told"], &["one"]).await;
    assert!(
        said[0].contains("component files cannot tell tenants apart"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_not_here_stands_in_the_way() {
    let (archives, key) = (tempfile::tempdir().unwrap(), SecretKey::generate());
    let new = |networks: &[&'static str]| {
        let networks = networks.to_vec();
        Plain::new(archives.path(), &key, |it| it.networks(networks))
    };
    new(&["default", "agents"]).capture("monday").await.unwrap();
    let error = new(&["default"]).restore("monday").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    let wanted = "of a manager in network `agents`, and this one is in: default";
    assert!(error.to_string().contains(wanted), "{error}");
    let good = new(&["agents", "other", "default"]);
    good.restore("monday").await.unwrap().into_result().unwrap();
}
