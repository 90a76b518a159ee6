//! The whole life of a snapshot, on this machine, in seconds.
//!
//! Without an argument it makes an instance with two real file systems, and then takes, damages,
//! plans, restores, undoes, copies and deletes. With a raw image or a folder of them it does so
//! with yours, and damages nothing but a copy of its own.

mod demo;
mod fat;
mod screen;
mod stage;
mod yours;

use std::path::PathBuf;
use std::process::ExitCode;

use console::style;

const HELP: &str = "\
quickstart [--keep] [PATH]

Without PATH: makes two disks in a folder of its own, snapshots them, damages one, restores it,
undoes that, copies them, and removes everything.

With PATH, a raw disk image or a folder of them: snapshots it, restores the snapshot to new disks
beside it and proves them equal. Damage is done to these new disks alone. Yours are only read;
nothing may write them meanwhile. What it adds is in PATH's folder, and is removed at the end.

  --keep   leave what was made, to look at";

/// Whatever went wrong; each error says what to do next.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let mut keep = false;
    let mut path: Option<PathBuf> = None;
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--help" | "-h") => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            Some("--keep") => keep = true,
            Some(option) if option.starts_with('-') => {
                eprintln!("There is no option `{option}`.\n\n{HELP}");
                return ExitCode::from(2);
            }
            _ if path.is_some() => {
                eprintln!("One path, please.\n\n{HELP}");
                return ExitCode::from(2);
            }
            _ => path = Some(argument.into()),
        }
    }
    let ended = match path {
        None => demo::run(keep).await,
        Some(path) => yours::run(&path, keep).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{} {error}", style("Failed:").for_stderr().red().bold());
            ExitCode::FAILURE
        }
    }
}
