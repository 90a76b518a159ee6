use std::env;

/// What was asked on the command line.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    pub(crate) cloud: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) power_off: bool,
    pub(crate) flavor: Option<String>,
}

pub(crate) const USAGE: &str = "\
cargo run --release --example openstack -- [--cloud NAME] [--server NAME] [--power-off] [--flavor NAME]

  --cloud      a cloud of your clouds.yaml; else what OS_CLOUD or OS_AUTH_URL says
  --server     the server to take, by name or id; without it they are listed
  --power-off  stop it while it is taken, and start it again
  --flavor     for the new server; else that of the one that was taken";

impl Ask {
    /// What the arguments say; where they say nothing that makes sense, why.
    pub(crate) fn read() -> Result<Self, String> {
        let mut ask = Self::default();
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .ok_or(format!("{word} needs a value\n\n{USAGE}"))
            };
            match word.as_str() {
                "--cloud" => ask.cloud = Some(value()?),
                "--flavor" => ask.flavor = Some(value()?),
                "--power-off" => ask.power_off = true,
                "--server" => ask.server = Some(value()?),
                _ => return Err(format!("`{word}` is not known\n\n{USAGE}")),
            }
        }
        Ok(ask)
    }
}
