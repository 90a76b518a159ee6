use std::fs;
use std::time::Duration;

use stillpoint::iaas::sim::{Personality, SimCloud};
use stillpoint::{ErrorKind, Provider, SnapshotState, TokioClock, What};

use crate::bed::{Bed, digest};
use crate::{backup, depot, end, exported, names, path_of, refused, with_snapshot};

#[tokio::test]
async fn an_export_is_on_the_list_with_its_digest_and_leaves_nothing_else() {
    let (bed, still, before, exported) = exported().await;
    let listed = still.get(before.id).await.unwrap();
    assert_eq!(listed.exports, std::slice::from_ref(&exported));
    let path = path_of(&exported);
    assert_eq!(fs::metadata(&path).unwrap().len(), exported.size);
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with("before-") && name.contains(&exported.job.to_string()));
    assert_eq!(names(&backup(&bed)), [name]);
    // 230 kB of disks, a tenth of it data.
    assert!(exported.size < 60_000, "{exported:?}");
    end(still).await;
}

#[tokio::test]
async fn from_the_archive_alone_to_another_folder() {
    let (bed, still, before, exported) = exported().await;
    let original = bed.volumes();
    end(still).await;

    let other = Bed::empty_in(&std::env::temp_dir());
    let path = other.path().join("renamed by somebody.zip");
    fs::copy(path_of(&exported), &path).unwrap();
    drop(bed);
    let still = other.start();
    let imported = still.import(&path).await.unwrap();
    assert_eq!(imported.id, before.id);
    assert_eq!(imported.state, SnapshotState::Archived);
    assert_eq!(imported.omitted, before.omitted);
    assert_eq!(imported.exports[0].root, exported.root);
    // Only the archive has it.
    let plan = still.restore(before.id).plan().await.unwrap();
    assert!(plan.blocked_by()[0].contains("only archives hold it: restore it from file:"));

    let again = still.import(&path).await.unwrap();
    assert_eq!(again.exports.len(), 1, "the same archive is the same copy");
    let job = still.restore_from(&path).to_new("web-2").await.unwrap();
    let made: Vec<String> = job.made.iter().map(ToString::to_string).collect();
    assert_eq!(made[0], "here/instance/web-2");
    let restored = ["web-2-root", "web-2-data"].map(|name| digest(&other.file(name)));
    assert_eq!(restored, original);
    still.delete(before.id).await.unwrap();
    assert_eq!(
        still.get(before.id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(path.exists(), "a list entry is not its archive");
    end(still).await;
}

#[tokio::test]
async fn through_a_depot() {
    let depots = tempfile::tempdir().unwrap();
    let (bed, still, before) = with_snapshot(|it| depot(it, depots.path())).await;
    let original = bed.volumes();
    let exported = still.export(before.id).to("depot:offsite").await.unwrap();
    assert!(exported.archive.starts_with("depot:offsite/before-"));
    end(still).await;
    drop(bed);

    let other = Bed::empty_in(&std::env::temp_dir());
    let still = other.start_with(|it| depot(it, depots.path()));
    assert_eq!(still.import(&exported.archive).await.unwrap().id, before.id);
    let asked = still.restore_from(&exported.archive).to_new("disk");
    asked.volumes_only().await.unwrap();
    assert_eq!(
        ["disk-root", "disk-data"].map(|name| digest(&other.file(name))),
        original
    );
    assert_eq!(names(&depots.path().join("staging")), [""; 0]);
    end(still).await;
}

/// To the simulated cloud and back, as each kind of system whose volumes can be written.
#[tokio::test]
async fn to_another_provider_and_back() {
    for personality in Personality::ALL {
        let bed = Bed::new().await;
        let cloud = SimCloud::builder(personality).name("prod").build();
        let clock = std::sync::Arc::new(TokioClock::starting_at(cloud.now()));
        let cloudy = cloud.clone();
        let still = bed.start_with(move |it| {
            it.provider(std::sync::Arc::new(cloudy.connect()))
                .clock(clock)
        });
        let before = still.snapshot(crate::WEB).await.unwrap();
        let there = still.export(before.id).to(backup(&bed)).await.unwrap();
        if cloud.connect().bytes().is_none() {
            let asked = still.restore_from(&there.archive).on("prod").to_new("web");
            refused(asked, &["prod gives no access to bytes"]).await;
            end(still).await;
            continue;
        }
        let job = still
            .restore_from(&there.archive)
            .on("prod")
            .to_new("web")
            .await
            .unwrap();
        let web = job.made[0].clone();
        assert_eq!(web.provider(), "prod");

        let back = still.snapshot(web).await.unwrap();
        let digests = |of: &stillpoint::Snapshot| -> Vec<_> {
            of.parts
                .iter()
                .map(|part| (part.disk.clone(), part.digest))
                .collect()
        };
        assert_eq!(digests(&back), digests(&before), "{personality:?}");
        let here = still.export(back.id).to(backup(&bed)).await.unwrap();
        still
            .restore_from(&here.archive)
            .on("here")
            .to_new("home")
            .await
            .unwrap();
        assert_eq!(
            ["home-root", "home-data"].map(|name| digest(&bed.file(name))),
            bed.volumes()
        );
        end(still).await;
    }
}

#[tokio::test]
async fn only_some_disks_and_a_single_volume() {
    let (bed, still, _, exported) = exported().await;
    let archive = &exported.archive;
    let job = still
        .restore_from(archive)
        .to_new("web-2")
        .disks(["data"])
        .await
        .unwrap();
    assert_eq!(job.made.len(), 2, "an instance and a volume");
    still
        .restore_from(archive)
        .to_new("alone")
        .disks(["data"])
        .volumes_only()
        .await
        .unwrap();
    assert_eq!(digest(&bed.file("alone")), bed.volumes()[1]);

    let volume = still.snapshot("here/volume/alone").await.unwrap();
    let exported = still.export(volume.id).to(backup(&bed)).await.unwrap();
    still
        .restore_from(&exported.archive)
        .to_new("twin")
        .await
        .unwrap();
    assert_eq!(digest(&bed.file("twin")), bed.volumes()[1]);
    end(still).await;
}

/// What was not verified when it was taken has its digests once it is exported.
#[tokio::test]
async fn an_export_proves_what_the_take_did_not() {
    let bed = Bed::new().await;
    let still = bed.start();
    let taken = still
        .snapshot(crate::WEB)
        .without_verification()
        .await
        .unwrap();
    assert!(taken.parts.iter().all(|part| part.digest.is_none()));
    still.export(taken.id).to(backup(&bed)).await.unwrap();
    let known = still.get(taken.id).await.unwrap();
    assert!(known.parts.iter().all(|part| part.digest.is_some()));
    end(still).await;
}

#[tokio::test]
async fn progress_is_in_bytes_and_once_is_once() {
    let (bed, still, before) = with_snapshot(|builder| builder).await;
    let mut events = still.events();
    let ask = || still.export(before.id).to(backup(&bed)).once("nightly");
    let one = ask().start().await.unwrap();
    let other = ask().start().await.unwrap();
    assert_eq!(one.id(), other.id());
    one.clone().await.unwrap();
    let mut last = None;
    while let Ok(event) = events.try_recv() {
        if let What::Progress { progress } = event.what {
            assert_eq!(progress.unit(), stillpoint::Unit::Bytes);
            last = Some(progress);
        }
    }
    assert_eq!(last.unwrap().fraction(), 1.0);
    assert_eq!(names(&backup(&bed)).len(), 1);
    end(still).await;
}

/// What is in memory depends on the cores and not on the disk.
#[tokio::test]
#[ignore = "reads 10 GiB of zeros several times: by hand"]
async fn ten_gib_fit_into_128_mib() {
    use std::os::unix::fs::FileExt;
    let bed = Bed::empty_in(&std::env::temp_dir());
    let file = fs::File::create(bed.file("large.img")).unwrap();
    file.set_len(10 << 30).unwrap();
    let mut piece = vec![0; 1 << 20];
    for at in 0..64 {
        fastrand::Rng::with_seed(at).fill(&mut piece);
        file.write_all_at(&piece, at * (160 << 20)).unwrap();
    }
    drop(file);
    let still = bed.start();
    let ask = still
        .snapshot("here/volume/large.img")
        .without_verification();
    let taken = ask.await.unwrap();
    let exported = still.export(taken.id).to(backup(&bed)).await.unwrap();
    assert!(exported.size < 80 << 20, "{exported:?}");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    println!("peak {peak} kB");
    assert!(peak < 128 << 10, "{peak} kB");
    still
        .restore_from(&exported.archive)
        .to_new("back")
        .await
        .unwrap();
    let sparse = fs::metadata(bed.file("back")).unwrap();
    let allocated = std::os::unix::fs::MetadataExt::blocks(&sparse) * 512;
    assert!(allocated < 80 << 20, "{allocated} bytes of a sparse disk");
    end(still).await;
}

/// A stop leaves nothing, wherever it comes.
#[tokio::test]
async fn a_stop_leaves_nothing() {
    let (bed, still, before) = with_snapshot(|builder| builder).await;
    let mut stopped = 0;
    for pause in [0, 1, 2, 5, 10, 20] {
        let job = still
            .export(before.id)
            .to(backup(&bed))
            .start()
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let asked = job.stop().await;
        let ended = job.await;
        assert!(asked.is_ok() || ended.is_ok());
        if ended.is_err() {
            stopped += 1;
            assert_eq!(names(&backup(&bed)), [""; 0], "{pause} ms");
        } else {
            for name in names(&backup(&bed)) {
                fs::remove_file(backup(&bed).join(name)).unwrap();
            }
        }
    }
    assert!(stopped > 0, "at least the first was stopped");
    end(still).await;
}
