use std::time::Duration;

use stillpoint_core::{Error, ErrorKind, Progress, ResourceRef, Result, Retry, Unit, World};
use stillpoint_iaas::{Observation, Output, Ticket};

use crate::cloud::running;

/// How long to wait before another attempt at what failed by itself.
const ANOTHER_TRY: Duration = Duration::from_secs(5);

/// Something that carries an operation's key.
#[derive(Debug)]
pub(crate) struct Made<T> {
    pub(crate) reference: ResourceRef,
    pub(crate) stage: Stage,
    /// What its output is read from.
    pub(crate) thing: T,
}

/// How far it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// It will never be of use, for this reason.
    Failed(String),
    Ready,
    /// It becomes something, or goes; so many of so many bytes are done.
    Running(Option<(u64, u64)>),
}

/// What is to be said of an operation that makes one thing, by what carries its key: the oldest
/// first.
///
/// What the ticket names comes before what was made sooner; all others are twins.
pub(crate) fn observe<T>(
    mut made: Vec<Made<T>>,
    ticket: Option<&Ticket>,
    output: impl FnOnce(&Made<T>) -> Result<Output>,
) -> Result<Observation> {
    let ready = |it: &Made<T>| it.stage == Stage::Ready;
    let told = |it: &Made<T>| ticket.is_some_and(|ticket| it.reference.id() == ticket.as_str());
    let chosen = made
        .iter()
        .position(|it| ready(it) && told(it))
        .or_else(|| made.iter().position(ready));
    if let Some(chosen) = chosen {
        let chosen = made.remove(chosen);
        return Ok(Observation::Done {
            output: output(&chosen)?,
            twins: made.into_iter().map(|it| it.reference).collect(),
        });
    }
    let moving = made.iter().find_map(|it| match it.stage {
        Stage::Running(progress) => Some(progress),
        _ => None,
    });
    if let Some(progress) = moving {
        return Ok(with_progress(progress));
    }
    let why = made.iter().find_map(|it| match &it.stage {
        Stage::Failed(why) => Some((it.reference.clone(), why.clone())),
        _ => None,
    });
    let Some((of, why)) = why else {
        return Ok(Observation::Absent);
    };
    Ok(Observation::Failed {
        error: failed(why).on(of),
        left: made.into_iter().map(|it| it.reference).collect(),
    })
}

fn with_progress(so_far: Option<(u64, u64)>) -> Observation {
    let Observation::Running { look_again_in, .. } = running() else {
        return running();
    };
    Observation::Running {
        progress: so_far.map(|(done, total)| {
            let mut progress = Progress::new(Unit::Bytes, total);
            progress.advance_to(done);
            progress
        }),
        look_again_in,
    }
}

/// The cloud began and did not succeed.
pub(crate) fn failed(why: String) -> Error {
    Error::new(ErrorKind::Unavailable, why)
        .leaving(World::Changed)
        .retry_with(Retry::After(ANOTHER_TRY))
        .advise("Try again; the cloud's own logs tell more")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: &str, stage: Stage) -> Made<()> {
        let reference = format!("prod/volume/{id}").parse().unwrap();
        Made {
            reference,
            stage,
            thing: (),
        }
    }

    fn said(made: Vec<Made<()>>, ticket: Option<&str>) -> String {
        let ticket = ticket.map(Ticket::new);
        let created = |it: &Made<()>| Ok(Output::Created(it.reference.clone()));
        let ids = |all: &[ResourceRef]| -> Vec<String> {
            all.iter().map(|it| it.id().to_owned()).collect()
        };
        match observe(made, ticket.as_ref(), created).unwrap() {
            Observation::Absent => "absent".into(),
            Observation::Done { output, twins } => {
                format!(
                    "done {} twins {}",
                    ids(&output.created()).join(""),
                    ids(&twins).join("")
                )
            }
            Observation::Failed { left, .. } => format!("failed {}", ids(&left).join("")),
            Observation::Running { .. } => "running".into(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_carries_a_key_is_told_whole() {
        use Stage::{Ready, Running};
        let bad = || Stage::Failed("out of luck".into());
        assert_eq!(said(vec![], None), "absent");
        assert_eq!(said(vec![made("a", Running(None))], None), "running");
        assert_eq!(
            said(vec![made("a", Ready), made("b", Ready)], None),
            "done a twins b"
        );
        assert_eq!(
            said(vec![made("a", Ready), made("b", Ready)], Some("b")),
            "done b twins a"
        );
        assert_eq!(
            said(vec![made("a", bad()), made("b", Ready)], Some("a")),
            "done b twins a"
        );
        assert_eq!(
            said(vec![made("a", Running(None)), made("b", Ready)], None),
            "done b twins a"
        );
        assert_eq!(
            said(vec![made("a", bad()), made("b", Running(None))], None),
            "running"
        );
        assert_eq!(
            said(vec![made("a", bad()), made("b", bad())], None),
            "failed ab"
        );
    }
}
