use serde_json::json;
use stillpoint_core::{ErrorKind, World};
use stillpoint_iaas::{Filter, Provider, ProviderExt};
use stillpoint_openstack::{CloudConfig, OpenStack};

use crate::bed::{SECRET, config, on_volumes, provider, reference, submit, take, with_volume};
use crate::server::{Answer, Replay};

const TOKENS: &str = "/v3/auth/tokens";
const ID: &str = "c0211b5e-7870-473b-b012-62f5f9bfd78b";

#[tokio::test]
async fn a_password_logs_in_once_for_many_calls() {
    let replay = Replay::new().await;
    with_volume(&replay, ID, "available", &[]);
    let prod = provider(&replay);
    let volume = reference(&format!("volume/{ID}"));
    for _ in 0..3 {
        prod.describe(&volume).await.unwrap();
    }
    let logins = replay.asked("POST", TOKENS);
    assert_eq!(logins.len(), 1);
    let user = &logins[0].body["auth"]["identity"]["password"]["user"];
    assert_eq!(user["password"], SECRET);
    assert_eq!(user["domain"]["id"], "default");
    assert_eq!(logins[0].body["auth"]["scope"]["project"]["name"], "demo");
    let asked = replay.asked("GET", &on_volumes(&format!("/volumes/{ID}")));
    assert_eq!(asked[0].headers["x-auth-token"], "recorded-token");
    assert_eq!(asked[0].headers["openstack-api-version"], "volume 3.66");
}

#[tokio::test]
async fn an_application_credential_logs_in_without_a_project() {
    let replay = Replay::new().await;
    with_volume(&replay, ID, "available", &[]);
    let yaml = format!(
        "clouds: {{prod: {{auth: {{auth_url: '{}/v3/', application_credential_id: abc, \
         application_credential_secret: {SECRET}}}}}}}",
        replay.url
    );
    let config = CloudConfig::from_yaml("prod", &yaml, None).unwrap();
    let prod = OpenStack::new("prod", config).unwrap();
    prod.describe(&reference(&format!("volume/{ID}")))
        .await
        .unwrap();
    let auth = &replay.asked("POST", TOKENS)[0].body["auth"];
    assert_eq!(auth["identity"]["application_credential"]["secret"], SECRET);
    assert!(auth.get("scope").is_none(), "{auth}");
}

#[tokio::test]
async fn a_token_that_was_revoked_is_renewed_and_the_call_made_again() {
    let replay = Replay::new().await;
    with_volume(&replay, ID, "available", &[]);
    let revoked = Answer::recorded("05-live-snapshots-quota-paging-tokens", 48);
    let path = on_volumes("/snapshots");
    replay.on("POST", &path, revoked.clone());
    replay.on(
        "POST",
        &path,
        Answer::recorded("05-live-snapshots-quota-paging-tokens", 1),
    );
    let prod = provider(&replay);
    submit(&prod, &take(ID)).await.unwrap();
    assert_eq!(replay.asked("POST", TOKENS).len(), 2);
    assert_eq!(replay.asked("POST", &path).len(), 2);

    replay.instead("POST", &path, revoked);
    let error = submit(&prod, &take(ID)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Permission, World::Untouched)
    );
    assert_eq!(
        replay.asked("POST", &path).len(),
        4,
        "it is tried twice, not for ever"
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let replay = Replay::empty().await;
    let token = |life: &str| {
        let body = json!({"token": {
            "issued_at": "2026-11-20T23:00:00.000000Z",
            "expires_at": life,
            "project": {"id": "p"},
            "catalog": [{"type": "volumev3", "endpoints": [
                {"interface": "public", "region_id": "north", "url": format!("{}/volume/v3/p", replay.url)}]}],
        }});
        Answer::new(201, body).header("X-Subject-Token", "t")
    };
    // The first is over at once, by Keystone's own clock.
    replay.on("POST", TOKENS, token("2026-11-20T23:00:00.000000Z"));
    replay.on("POST", TOKENS, token("2026-11-21T23:00:00.000000Z"));
    replay.on(
        "GET",
        "/volume/v3/p/volumes/v",
        Answer::new(
            200,
            json!({"volume": crate::bed::volume("v", "available", &[])}),
        ),
    );
    let prod = provider(&replay);
    for _ in 0..3 {
        prod.describe(&reference("volume/v")).await.unwrap();
    }
    assert_eq!(replay.asked("POST", TOKENS).len(), 2);
}

#[tokio::test]
async fn a_region_that_the_catalogue_lacks_is_told_with_those_it_has() {
    let replay = Replay::new().await;
    let mut config = config(&replay.url);
    config.region = Some("south".into());
    let prod = OpenStack::new("prod", config).unwrap();
    let error = prod.describe(&reference("volume/v")).await.unwrap_err();
    assert!(error.to_string().contains("RegionOne public"), "{error}");
}

#[tokio::test]
async fn what_is_wrong_is_told_and_no_secret_is() {
    let replay = Replay::new().await;
    replay.instead(
        "POST",
        TOKENS,
        Answer::recorded("05-live-snapshots-quota-paging-tokens", 45),
    );
    let prod = provider(&replay);
    let error = prod.list_all(&Filter::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    let shown = format!("{prod} {prod:?} {error} {error:?} {:?}", error.to_report());
    assert!(!shown.contains(SECRET), "{shown}");

    let nobody = OpenStack::new("prod", config("http://127.0.0.1:1")).unwrap();
    let error = nobody.describe(&reference("volume/v")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.world()),
        (ErrorKind::Unavailable, World::Untouched)
    );
}

#[tokio::test]
async fn an_older_cinder_is_spoken_to_as_it_understands() {
    let replay = Replay::new().await;
    let old = json!({"versions": [{"id": "v3.0", "version": "3.59"}]});
    replay.instead("GET", "/volume/v3/", Answer::new(300, old));
    with_volume(&replay, ID, "in-use", &[]);
    let path = on_volumes("/snapshots");
    replay.on(
        "POST",
        &path,
        Answer::recorded("05-live-snapshots-quota-paging-tokens", 1),
    );
    submit(&provider(&replay), &take(ID)).await.unwrap();
    let asked = &replay.asked("POST", &path)[0];
    assert_eq!(asked.headers["openstack-api-version"], "volume 3.59");
    assert_eq!(asked.body["snapshot"]["force"], true);
}

#[tokio::test]
async fn a_token_is_shown_to_no_other_place_than_the_endpoint() {
    let replay = Replay::new().await;
    let away = Answer::new(302, json!({})).header("Location", &format!("{}/away", replay.url));
    replay.on("GET", &on_volumes("/volumes/v"), away);
    let prod = provider(&replay);
    prod.describe(&reference("volume/v")).await.unwrap_err();
    assert!(replay.asked("GET", "/away").is_empty());
    // Nor does an id lead out of the place where it belongs.
    let error = prod
        .describe(&reference("volume/../../../../away"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(replay.asked("GET", "/away").is_empty());
}

#[tokio::test]
async fn a_version_that_is_not_told_now_is_asked_for_again() {
    for status in [401, 403, 429, 503] {
        let replay = Replay::new().await;
        with_volume(&replay, ID, "available", &[]);
        for path in ["/volume/v3/", "/volume/"] {
            replay.instead("GET", path, Answer::new(status, json!({})));
        }
        let prod = provider(&replay);
        let volume = reference(&format!("volume/{ID}"));
        prod.describe(&volume).await.unwrap_err();
        let told = Answer::recorded("01-image-backed", 3);
        replay.instead("GET", "/volume/v3/", told);
        prod.describe(&volume).await.unwrap();
        let asked = replay.asked("GET", &on_volumes(&format!("/volumes/{ID}")));
        assert_eq!(asked.len(), 1, "{status}");
        assert_eq!(asked[0].headers["openstack-api-version"], "volume 3.66");
        let logins = replay.asked("POST", TOKENS).len();
        assert_eq!(logins, if status == 401 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn a_cloud_that_tells_no_versions_is_spoken_to_in_the_least() {
    let replay = Replay::new().await;
    with_volume(&replay, ID, "available", &[]);
    replay.instead("GET", "/volume/v3/", Answer::new(404, json!({})));
    let prod = provider(&replay);
    let volume = reference(&format!("volume/{ID}"));
    prod.describe(&volume).await.unwrap();
    let told = Answer::recorded("01-image-backed", 3);
    replay.instead("GET", "/volume/v3/", told);
    prod.describe(&volume).await.unwrap();
    let asked = replay.asked("GET", &on_volumes(&format!("/volumes/{ID}")));
    let spoken: Vec<_> = asked
        .iter()
        .map(|it| it.headers["openstack-api-version"].as_str())
        .collect();
    assert_eq!(spoken, ["volume 3.0", "volume 3.66"]);
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked() {
    let nobody = "http://127.0.0.1:9";
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "login::a_password_logs_in_once_for_many_calls"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, nobody);
    }
    again.env_remove("NO_PROXY").env_remove("no_proxy");
    let ended = again.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{said}"
    );
}
