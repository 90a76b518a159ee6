use stillpoint::ErrorKind;
use stillpoint::archives::{Passphrase, SecretKey};
use stillpoint_archive::{Archive, OpenOptions};

use crate::bed::{Bed, digest};
use crate::{backup, end, path_of, with_snapshot};

#[tokio::test]
async fn only_a_recipient_gets_anything_out() {
    let key = SecretKey::generate();
    let weak = || Passphrase::new("correct horse".to_owned()).danger_work_factor(2);
    let (bed, still, before) =
        with_snapshot(|it| it.recipient("ops", key.public()).recipient("safe", weak())).await;
    let original = bed.volumes();
    let ask = still
        .export(before.id)
        .to(backup(&bed))
        .seal_for("ops")
        .seal_for("safe");
    let plan = ask.plan().await.unwrap();
    let stored = serde_json::to_string(plan.as_plan()).unwrap();
    assert!(stored.contains("ops") && !stored.contains("correct horse"));
    assert!(
        !stored.contains("age1"),
        "names stand in plans, keys do not"
    );
    let job = plan.start().await.unwrap().await.unwrap();
    let listed = still.get(before.id).await.unwrap();
    let exported = listed.exports.iter().find(|it| it.job == job.id).unwrap();
    let path = path_of(exported);

    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.sealed(), 3, "the volumes, and what describes them");
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for clear in [
        "here/instance/web",
        "data.img\"",
        &before.parts[0].digest.unwrap().to_string(),
    ] {
        assert!(!text.contains(clear), "{clear}");
    }
    end(still).await;

    let other = Bed::empty_in(&std::env::temp_dir());
    let wrong = other.start_with(|it| it.identity(SecretKey::generate()));
    let error = wrong
        .restore_from(&path)
        .to_new("web-2")
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(
        error.to_string().contains("none of the keys given opens"),
        "{error}"
    );
    end(wrong).await;
    let without = other.start();
    let error = without.import(&path).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission, "{error}");
    assert!(error.to_string().contains("no key was given"), "{error}");
    end(without).await;

    let still = other.start_with(|it| it.identity(key.clone()));
    still.import(&path).await.unwrap();
    still.restore_from(&path).to_new("one").await.unwrap();
    assert_eq!(
        ["one-root", "one-data"].map(|it| digest(&other.file(it))),
        original
    );
    end(still).await;
    let still = other.start_with(|it| it.identity(SecretKey::generate()).identity(weak()));
    still.restore_from(&path).to_new("two").await.unwrap();
    end(still).await;
    let opened = OpenOptions::new().identity(weak()).open(&path).unwrap();
    assert!(opened.is_unlocked());
}
