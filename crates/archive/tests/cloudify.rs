//! Real snapshot archives of every era there is one of, and synthetic ones of the others.

use stillpoint_archive::cloudify::{
    CompatOptions, Era, Files, Snapshot, class_of, compat_warnings, write_compat,
};
use stillpoint_archive::{
    Archive, Assurance, Class, Forgivable, Metadata, OpenOptions, Refusal, SecretKey, Strictness,
    VerifyLevel, Watch, WriteOptions, create, verify, verify_stream,
};

fn path(version: &str) -> String {
    format!(
        "{}/testdata/cloudify/cloudify-{version}.zip",
        env!("CARGO_MANIFEST_DIR")
    )
}

fn open(version: &str) -> Archive {
    OpenOptions::new()
        .strictness(Strictness::Lenient)
        .open(path(version))
        .unwrap()
}

fn snapshot(version: &str) -> Snapshot {
    Snapshot::of(&open(version)).unwrap()
}

#[test]
fn real_archives_open_with_their_counts() {
    for (version, era, entries, files) in [
        ("4.0", Era::B, 300, 300),
        ("4.6.0", Era::C, 53, 32),
        ("5.0.5", Era::C, 57, 35),
        ("7.1", Era::E, 69, 54),
    ] {
        let archive = open(version);
        let report = verify(&archive, VerifyLevel::Deep, &Watch::none()).unwrap();
        assert_eq!(
            (report.entries, report.files),
            (entries, files),
            "{version}"
        );
        assert_eq!(report.assurance, Assurance::CrcOnly, "{version}");
        assert_eq!(Snapshot::of(&archive).unwrap().era(), era, "{version}");
        let lenient = OpenOptions::new().strictness(Strictness::Lenient);
        let file = std::fs::File::open(path(version)).unwrap();
        let streamed = verify_stream(file, &lenient, &Watch::none()).unwrap();
        assert_eq!(streamed.content_digest, report.content_digest, "{version}");
        assert_eq!(streamed.forgiven, report.forgiven, "{version}");
    }
}

#[test]
fn only_what_old_writers_did_is_forgiven() {
    assert!(
        open("4.6.0")
            .forgiven()
            .contains_key(&Forgivable::DeflatedDirectory)
    );
    assert!(
        open("4.0")
            .forgiven()
            .contains_key(&Forgivable::MissingDirectory)
    );
    assert!(open("7.1").forgiven().is_empty());
    for version in ["4.6.0", "5.0.5"] {
        let strict = Archive::open(path(version)).unwrap_err();
        assert_eq!(
            strict.refusal(),
            Some(&Refusal::DirectoryWithData),
            "{version}"
        );
    }
    Archive::open(path("7.1")).unwrap();
}

#[test]
fn documents_of_the_dump_eras_are_read() {
    let old = snapshot("4.0");
    let agents = old.agents().unwrap();
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0].tenant, None);
    assert_eq!(
        agents[0].deployment.as_deref(),
        Some("cloudify-django-sample")
    );
    assert_eq!(agents[0].broker.addresses, ["172.20.0.2"]);
    assert_eq!(agents[0].broker.port, Some(5672));
    assert_eq!(old.credentials().len(), 1);
    assert_eq!(old.blueprints().len(), 1);
    assert_eq!(old.uploaded_blueprints().len(), 1);
    assert!(old.tenants().is_none());

    let new = snapshot("5.0.5");
    let agents = new.agents().unwrap();
    assert!(
        agents
            .iter()
            .all(|agent| agent.tenant.as_deref() == Some("default_tenant"))
    );
    assert_eq!(agents[0].broker.addresses, ["172.16.0.19"]);
    assert!(
        agents[0]
            .broker
            .certificate
            .as_ref()
            .unwrap()
            .starts_with("-----BEGIN")
    );
    assert_eq!(new.admin_account().unwrap().unwrap().username, "admin");
    assert!(new.networks().unwrap().unwrap().active_networks.is_empty());
    let dumps: Vec<_> = new.database_dumps().collect();
    assert_eq!(dumps, ["pg_data", "stage_data", "composer_data"]);

    let middle = snapshot("4.6.0");
    let metadata = middle.metadata();
    assert!(
        metadata
            .stage_schema_revision
            .as_ref()
            .unwrap()
            .contains('\n')
    );
    assert_eq!(
        metadata.stage_revision(),
        Some("20171011082922-4_2-UserAppsRoleColumnRemoval.js")
    );
    assert_eq!(
        metadata.composer_revision(),
        Some("20171229105614-4_3-blueprint-repo.js")
    );
}

#[test]
fn entities_of_the_last_era_are_read() {
    let snapshot = snapshot("7.1");
    assert_eq!(
        snapshot.tenants().unwrap(),
        ["default_tenant", "other", "shared"]
    );
    assert_eq!(snapshot.plugins().len(), 3);
    assert_eq!(snapshot.blueprints().len(), 4);
    let agents = snapshot.agents().unwrap();
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0].instance, "vm_93pf5z");
    assert_eq!(agents[0].deployment.as_deref(), Some("shared_provider"));
    let entities = snapshot.entities().unwrap();
    assert_eq!(entities.len(), 4 + 23 + 2 + 6);
    assert_eq!(entities[0].kind, "tenants");
    assert_eq!(class_of(&entities[4].path), Class::Secret);
}

#[test]
fn the_last_era_round_trips_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let digest = |a: &Archive| {
        verify(a, VerifyLevel::Full, &Watch::none())
            .unwrap()
            .content_digest
            .unwrap()
    };
    let original = digest(&open("7.1"));
    let snapshot = snapshot("7.1");
    let out = folder.path().join("compat.zip");
    let sealed = WriteOptions::new();
    assert!(write_compat(&out, &snapshot, &sealed, &CompatOptions::new()).is_err());
    let options = WriteOptions::new().danger_secrets_in_clear();
    write_compat(&out, &snapshot, &options, &CompatOptions::new()).unwrap();
    let compat = Archive::open(&out).unwrap();
    assert_eq!(digest(&compat), original);
    for tenant in ["default_tenant", "other", "shared"] {
        assert!(compat.entry(&format!("tenants/{tenant}/")).is_some());
    }
    assert_eq!(compat.entries().next().unwrap().name(), "metadata.json");

    let key = SecretKey::generate();
    let native = folder.path().join("native.zip");
    let metadata = Metadata::Verbatim(snapshot.files().read("metadata.json").unwrap());
    let options = WriteOptions::new()
        .seal_for(key.public())
        .metadata(metadata);
    create(&native, &options, |writer| {
        Files::of(&compat).write(writer, &class_of)
    })
    .unwrap();
    let bytes = std::fs::read(&native).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"somekey"));
    let locked = Archive::open(&native).unwrap();
    assert_eq!(Snapshot::of(&locked).unwrap().era(), Era::E);
    let native = OpenOptions::new().identity(key).open(&native).unwrap();
    assert_eq!(digest(&native), original);
    assert_eq!(Snapshot::of(&native).unwrap().agents().unwrap().len(), 1);

    assert_eq!(compat_warnings(&snapshot).unwrap().len(), 1);
    let mended = folder.path().join("mended.zip");
    let options = WriteOptions::new().danger_secrets_in_clear();
    let mend = CompatOptions::new().mend_secrets_providers();
    write_compat(&mended, &snapshot, &options, &mend).unwrap();
    let mended = Snapshot::of(&Archive::open(&mended).unwrap()).unwrap();
    assert_eq!(compat_warnings(&mended).unwrap(), Vec::<String>::new());
}

#[test]
fn four_point_nought_gets_tenants_and_a_schema() {
    let migrated = snapshot("4.0").migrated(Era::C).unwrap();
    assert_eq!(migrated.era(), Era::C);
    assert_eq!(
        migrated.metadata().schema_revision.as_deref(),
        Some("333998bc1627")
    );
    let agents = migrated.agents().unwrap();
    assert_eq!(agents[0].tenant.as_deref(), Some("default_tenant"));
    let blueprints = migrated.blueprints();
    assert_eq!(blueprints[0].tenant.as_deref(), Some("default_tenant"));
    assert_eq!(blueprints[0].id, "cloudify-django-sample");
    assert!(migrated.credentials()[0].id.starts_with("default_tenant_"));
    assert_eq!(migrated.files().paths().count(), 300);
    let cleaned = snapshot("4.6.0").migrated(Era::C).unwrap();
    assert!(
        !cleaned
            .metadata()
            .stage_schema_revision
            .as_ref()
            .unwrap()
            .contains('\n')
    );
    assert!(snapshot("5.0.5").migrated(Era::E).is_err());
    assert!(snapshot("7.1").migrated(Era::C).is_err());
}

/// Synthetic: what is known of 7.0.0's layout, there being no archive of it.
fn seven_nought() -> Files {
    let mut files = Files::default();
    files.insert("metadata.json", r#"{"snapshot_version": "7.0.0"}"#);
    files.insert(
        "mgmt/tenants/0.json",
        r#"{"type": "tenants", "items": [{"name": "t1"}]}"#,
    );
    files.insert(
        "mgmt/users/0.json",
        r#"{"type": "users", "items": [{"username": "admin"}]}"#,
    );
    for n in [0, 2, 10] {
        let body = format!(r#"{{"type": "sites", "items": [{{"name": "site{n}"}}]}}"#);
        files.insert(format!("tenants/t1/sites/{n}.json"), body);
    }
    let agents = r#"{"type": "agents", "items": [{"node_instance_id": "vm_1"}]}"#;
    files.insert("tenants/t1/agents/dep1.json", agents);
    let events = r#"{"type": "events", "items": [{"message": "hi"}]}"#;
    files.insert("tenants/t1/executions_events/exec1.json", events);
    files.insert("tenants/t1/plugins_archives/p1.zip", b"PK\x05\x06".to_vec());
    files.insert(
        "tenants/t1/deployments_archives/dep1.b64zip",
        "UEsFBgAAAA==",
    );
    files
}

#[test]
fn seven_nought_becomes_seven_one() {
    let old = Snapshot::from_files(seven_nought()).unwrap();
    assert_eq!(old.era(), Era::D);
    assert_eq!(old.plugins()[0].id, "p1");
    assert_eq!(old.agents().unwrap()[0].instance, "vm_1");
    let new = old.clone().migrated(Era::E).unwrap();
    assert_eq!(new.era(), Era::E);
    let summary: Vec<_> = new
        .entities()
        .unwrap()
        .into_iter()
        .map(|e| (e.path, e.kind, e.source, e.source_id))
        .collect();
    let line = |path: &str, kind: &str, source: Option<&str>, id: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        (path.to_owned(), kind.to_owned(), owned(source), owned(id))
    };
    assert_eq!(
        summary,
        [
            line("mgmt/00000001.json", "tenants", None, None),
            line("mgmt/00000002.json", "users", None, None),
            line("tenants/t1/00000001.json", "sites", None, None),
            line("tenants/t1/00000002.json", "sites", None, None),
            line("tenants/t1/00000003.json", "sites", None, None),
            line("tenants/t1/00000004.json", "agents", None, Some("dep1")),
            line(
                "tenants/t1/00000005.json",
                "events",
                Some("executions"),
                Some("exec1")
            ),
        ]
    );
    let third = String::from_utf8(new.files().read("tenants/t1/00000003.json").unwrap()).unwrap();
    assert!(third.contains("site10"), "{third}");
    assert!(new.files().contains("tenants/t1/plugins/p1.zip"));
    assert!(new.files().contains("tenants/t1/deployments/dep1.b64zip"));
    assert!(new.files().directories().any(|path| path == "tenants/t1/"));
}

#[test]
fn no_file_takes_the_place_of_another() {
    let mut files = seven_nought();
    files.insert("tenants/t1/plugins/p1.zip", b"other".to_vec());
    let error = Snapshot::from_files(files).unwrap().migrated(Era::E);
    let error = error.unwrap_err();
    assert!(
        error.to_string().contains("tenants/t1/plugins/p1.zip"),
        "{error}"
    );

    let mut files = snapshot("4.0").files().clone();
    let below = "snapshot-credentials/";
    let key = files.under(below).next().unwrap().to_owned();
    let (key, name) = (files.read(&key).unwrap(), key[below.len()..].to_owned());
    files.insert(format!("{below}default_tenant_{name}"), b"other".to_vec());
    let migrated = Snapshot::from_files(files)
        .unwrap()
        .migrated(Era::C)
        .unwrap();
    let read = |name: &str| migrated.files().read(&format!("{below}{name}")).unwrap();
    assert_eq!(read(&format!("default_tenant_{name}")), key);
    assert_eq!(
        read(&format!("default_tenant_default_tenant_{name}")),
        b"other"
    );
}

#[test]
fn three_point_four_is_known_and_not_migrated() {
    // Synthetic: what is known of 3.4's layout, with the broker's keys beside the version.
    let mut files = Files::default();
    let metadata = r#"{"has_cloudify_events": true, "snapshot_version": "3.4.0"}"#;
    files.insert("metadata.json", metadata);
    files.insert("es_data", "{}\n");
    files.insert(
        "agents.json",
        r#"{"dep": {"node": {"node_1": {"version": "3.3", "broker_ip": "10.0.0.1",
            "broker_user": "u", "broker_pass": "p", "broker_ssl_enabled": false}}}}"#,
    );
    let snapshot = Snapshot::from_files(files).unwrap();
    assert_eq!(snapshot.era(), Era::A);
    let agents = snapshot.agents().unwrap();
    assert_eq!(agents[0].broker.addresses, ["10.0.0.1"]);
    assert_eq!(agents[0].broker.user.as_deref(), Some("u"));
    assert!(!format!("{agents:?}").contains("\"p\""));
    assert!(snapshot.migrated(Era::C).is_err());
}

#[test]
fn what_fits_no_era_is_an_error() {
    let mut files = Files::default();
    files.insert("metadata.json", r#"{"snapshot_version": "5.0.5"}"#);
    let unknown = |files: &Files| {
        let error = Snapshot::from_files(files.clone()).unwrap_err();
        matches!(error.refusal(), Some(Refusal::UnknownEra(_)))
    };
    assert!(unknown(&files));
    files.insert("pg_data", "");
    assert_eq!(Snapshot::from_files(files.clone()).unwrap().era(), Era::B);
    files.insert("mgmt/00000001.json", r#"{"type": "tenants", "items": []}"#);
    assert!(unknown(&files));
    files.insert("metadata.json", "[]");
    assert!(Snapshot::from_files(files).is_err());
}
