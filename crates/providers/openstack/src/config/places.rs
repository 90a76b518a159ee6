use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use stillpoint_core::{Error, ErrorKind, Result};

use super::clouds::LONGEST;
use super::environment::Environment;

/// The first `clouds.yaml` there is, and its text.
pub(super) fn clouds(environment: &Environment) -> Result<(PathBuf, String)> {
    let places = places(environment, "OS_CLIENT_CONFIG_FILE", "clouds");
    first(&places)?.ok_or_else(|| {
        let error = Error::new(ErrorKind::NotFound, "there is no clouds.yaml").advise(
            "Put one there, set OS_CLIENT_CONFIG_FILE, or unset OS_CLOUD and set OS_AUTH_URL",
        );
        places.iter().fold(error, |error, place| {
            error.reason(format!("not at `{}`", place.display()))
        })
    })
}

/// The first `secure.yaml` there is; there need be none.
pub(super) fn secure(environment: &Environment) -> Result<Option<(PathBuf, String)>> {
    first(&places(environment, "OS_CLIENT_SECURE_FILE", "secure"))
}

/// Where openstacksdk looks, in its order; a file that is named by a variable is the only place.
fn places(environment: &Environment, variable: &str, name: &str) -> Vec<PathBuf> {
    if let Some(named) = environment.get(variable) {
        return vec![named.into()];
    }
    let home = |variable| environment.get(variable).map(PathBuf::from);
    let user = home("XDG_CONFIG_HOME").or_else(|| home("HOME").map(|home| home.join(".config")));
    let folders = [
        Some(PathBuf::from(".")),
        user.map(|folder| folder.join("openstack")),
        Some(PathBuf::from("/etc/openstack")),
    ];
    let files = folders.into_iter().flatten();
    files
        .flat_map(|folder| ["yaml", "yml"].map(|end| folder.join(format!("{name}.{end}"))))
        .collect()
}

fn first(places: &[PathBuf]) -> Result<Option<(PathBuf, String)>> {
    for place in places {
        match File::open(place) {
            Ok(file) => return Ok(Some((place.clone(), read(file, place)?))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(place, error)),
        }
    }
    Ok(None)
}

fn read(file: File, place: &Path) -> Result<String> {
    let mut text = String::new();
    let read = file.take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|error| unreadable(place, error))?;
    if text.len() as u64 > LONGEST {
        let what = format!("`{}` is over {LONGEST} bytes", place.display());
        return Err(Error::new(ErrorKind::Invalid, what).advise("Give a clouds.yaml"));
    }
    Ok(text)
}

fn unreadable(place: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Permission,
        format!("`{}` cannot be read", place.display()),
    )
    .advise("Give this process the right to read it")
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CloudConfig, Credentials};
    use secrecy::ExposeSecret;

    const CLOUDS: &str = "
clouds:
  one:
    auth: {auth_url: 'http://127.0.0.1/v3', username: demo, password: 0123, project_name: demo}
    volume_endpoint_override: http://127.0.0.1:8776/v3/x
    some_other_tools_key: [1, 2]
  two:
";

    fn environment(folder: &Path) -> Environment {
        let variables = [("XDG_CONFIG_HOME", folder), ("HOME", Path::new("/nowhere"))];
        Environment::new(
            variables.map(|(name, path)| (name.to_owned(), path.display().to_string())),
        )
    }

    #[test]
    fn a_cloud_is_found_and_its_secrets_come_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("openstack")).unwrap();
        let at = |name: &str| folder.path().join("openstack").join(name);
        std::fs::write(at("clouds.yml"), CLOUDS).unwrap();
        let found = CloudConfig::find("one", &environment(folder.path())).unwrap();
        assert!(found.endpoints.contains_key(&crate::Service::Volume));
        assert_eq!(password(&found), "0123");

        std::fs::write(at("secure.yaml"), "clouds: {one: {auth: {password: hers}}}").unwrap();
        let found = CloudConfig::find("one", &environment(folder.path())).unwrap();
        assert_eq!(password(&found), "hers");
    }

    #[test]
    fn places_and_clouds_that_are_missing_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = CloudConfig::find("one", &environment(folder.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().contains("/etc/openstack/clouds.yaml"),
            "{error}"
        );
        let error = CloudConfig::from_yaml("three", CLOUDS, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = CloudConfig::from_yaml("two", CLOUDS, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_broken_file_shows_where_and_no_secret() {
        let broken =
            "clouds:\n  one:\n    auth: {password: not-to-be-seen, username: [not-to-be-seen]}\n";
        let error = CloudConfig::from_yaml("one", broken, None).unwrap_err();
        let shown = format!("{error} {error:?} {:?}", error.to_report());
        assert!(shown.contains("line 3"), "{shown}");
        assert!(!shown.contains("not-to-be-seen"), "{shown}");
    }

    fn password(config: &CloudConfig) -> &str {
        match &config.credentials {
            Credentials::Password { password, .. } => password.expose_secret(),
            other => panic!("{other:?}"),
        }
    }
}
