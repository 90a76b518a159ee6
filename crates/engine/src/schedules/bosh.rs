//! The schedules of a BOSH Director, by the names that its properties have.

use serde::{Deserialize, Serialize};
use stillpoint_core::{Error, ErrorKind, Result};
use stillpoint_schedule::{Cron, Schedule};

use super::select::{Select, Subject};
use super::spec::ScheduleSpec;

/// The properties of a BOSH Director that say when it takes snapshots.
///
/// What fires when is the Director's: fugit's grammar, either day field, UTC unless the expression
/// names a zone. What is better here: runs that were missed are made up for once, runs do not
/// overlap, one failing instance stops no other, and a snapshot of the Director itself is recorded
/// as any other, so that it can be listed and deleted. There is no retention unless one is added.
///
/// ```
/// use stillpoint_engine::{BoshDirector, Select, Subject};
///
/// let director: BoshDirector = serde_json::from_str(
///     r#"{"enable_snapshots": true, "snapshot_schedule": "0 0 7 * * * UTC"}"#,
/// ).unwrap();
/// let itself = Subject::Instances(Select::these(["vsphere/instance/director".parse()?]));
/// let specs = director.schedules("vsphere", itself)?;
/// assert_eq!(specs[0].name, "snapshot_schedule");
///
/// // What a Director logs and forgets is an error here.
/// let disabled = BoshDirector { enable_snapshots: false, ..director };
/// let itself = Subject::Manager("director".into());
/// let refused = disabled.schedules("vsphere", itself).unwrap_err();
/// assert!(refused.to_string().contains("snapshots are disabled"));
/// # Ok::<(), stillpoint_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoshDirector {
    /// Whether it takes any.
    pub enable_snapshots: bool,
    /// When it takes all persistent disks of all instances; none: never.
    pub snapshot_schedule: Option<String>,
    /// When it takes its own; none: never.
    pub self_snapshot_schedule: Option<String>,
}

impl BoshDirector {
    /// The schedules to apply: of everything that the CPI of this provider has, and of the
    /// Director `itself`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Precondition`] where something is scheduled and snapshots are disabled,
    /// [`ErrorKind::Invalid`] with the column and the reason for an expression that is none.
    pub fn schedules(&self, provider: &str, itself: Subject) -> Result<Vec<ScheduleSpec>> {
        let all = Subject::Instances(Select::all().on(provider));
        let properties = [
            ("snapshot_schedule", &self.snapshot_schedule, all),
            (
                "self_snapshot_schedule",
                &self.self_snapshot_schedule,
                itself,
            ),
        ];
        let mut specs = Vec::new();
        for (name, expression, of) in properties {
            let Some(expression) = expression else {
                continue;
            };
            if !self.enable_snapshots {
                let message = format!("{name} is set, and snapshots are disabled");
                return Err(Error::new(ErrorKind::Precondition, message)
                    .advise("Set enable_snapshots to true, or leave the schedule out"));
            }
            let cron = Cron::parse(expression).map_err(|source| {
                Error::new(ErrorKind::Invalid, format!("{name}: {source}")).because(source)
            })?;
            specs.push(ScheduleSpec::new(name, of, Schedule::cron(cron)));
        }
        Ok(specs)
    }
}
