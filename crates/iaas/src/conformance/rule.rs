use std::fmt;
use std::future::Future;

use super::bed::TestBed;
use super::breach::{Held, Verdict};
use super::rules;
use super::trial::Trial;

/// Makes the list of rules, and the macro that makes a `#[test]` of each. `$d` is a dollar sign.
macro_rules! rules {
    ($d:tt $($(#[$doc:meta])* $rule:ident: $theme:ident::$name:ident,)+) => {
        /// One thing that every provider keeps.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])* $rule,)+
        }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Self] = &[$(Self::$rule),+];

            /// Its name: that of its test.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => stringify!($name),)+
                }
            }

            /// Tries the rule on a bed that nothing was tried on before.
            ///
            /// # Errors
            ///
            /// How it was broken.
            pub async fn check(self, bed: &impl TestBed) -> Verdict {
                let mut trial = Trial::new(bed).await?;
                match self {
                    $(Self::$rule => rules::$theme::$name(&mut trial).await,)+
                }
            }
        }

        /// Makes one `#[test]` of each [`Rule`](crate::conformance::Rule).
        ///
        /// The expression makes the [`TestBed`](crate::conformance::TestBed) and may await. Rules
        /// that the provider does not promise pass, and say so on the standard output.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d bed:expr) => {
                $(
                    #[test]
                    fn $name() {
                        $d crate::conformance::run_test(
                            $d crate::conformance::Rule::$rule,
                            async { $d bed },
                        );
                    }
                )+
            };
        }
    };
}

rules! { $
    /// A refused operation that says `Untouched` has changed nothing.
    RefusedIsUntouched: refusals::refused_is_untouched,
    /// What is not among the capabilities is refused as `Unsupported`, before any change.
    UnsupportedIsTyped: refusals::unsupported_is_typed,
    /// What was there before is touched by no operation but one on itself.
    ForeignIsUntouched: refusals::foreign_is_untouched,
    /// What is among the capabilities is done.
    SupportedIsDone: refusals::supported_is_done,
    /// As many operations as the limits allow are taken at once.
    LimitsAreTrue: refusals::limits_are_true,

    /// `Enforced`: a second submit is the same operation, or is refused.
    SecondSubmitIsTheSame: identity::second_submit_is_the_same,
    /// `Findable`: a second submit shows as a twin.
    TwinsAreTold: identity::twins_are_told,
    /// A client that knows nothing but the key finds what another one did.
    KeyAloneIsEnough: identity::key_alone_is_enough,
    /// What was never asked for is not there: never done, failed or running.
    NeverAskedIsAbsent: identity::never_asked_is_absent,
    /// A submit that is cut off anywhere is either absent or found by its key.
    CutOffIsFound: identity::cut_off_is_found,
    /// What shows late is found, though it was absent before.
    LateIsFound: identity::late_is_found,
    /// Nothing that somebody else did is taken for ours, whatever its name.
    SameNameIsNotSameKey: identity::same_name_is_not_same_key,

    /// What runs is seen to run until it is over.
    RunningIsSeen: endings::running_is_seen,
    /// Progress never goes back, and its total stays.
    ProgressGoesOn: endings::progress_goes_on,
    /// Something that runs says when to look again, which is not at once.
    LooksAgainLater: endings::looks_again_later,
    /// What a cancelled operation leaves is named.
    CancelNamesWhatIsLeft: endings::cancel_names_what_is_left,
    /// Cancelling what was never there is a success.
    CancelOfNothing: endings::cancel_of_nothing,
    /// Cancelling what is over undoes nothing.
    CancelIsNoUndo: endings::cancel_is_no_undo,

    /// Deleting what is gone is a success.
    DeletingTheGone: deletes::deleting_the_gone,
    /// What was deleted is gone, and nothing else is.
    DeletesOnlyThat: deletes::deletes_only_that,
    /// A volume that is attached is not deleted.
    AttachedIsKept: deletes::attached_is_kept,
    /// A volume that has a snapshot is not deleted, or its snapshot lives on.
    SnapshotOutlivesItsVolume: deletes::snapshot_outlives_its_volume,
    /// An instance's volumes outlive it.
    VolumesOutliveTheirInstance: deletes::volumes_outlive_their_instance,

    /// A list has everything once, however many pages that takes.
    ListIsWhole: describes::list_is_whole,
    /// A list has what its filter asks for and nothing else.
    FiltersAreKept: describes::filters_are_kept,
    /// What does not exist is `NotFound`.
    MissingIsNotFound: describes::missing_is_not_found,
    /// Names and labels are kept as given.
    NamesAreKept: describes::names_are_kept,
    /// Setting a label leaves the others.
    OtherLabelsStay: describes::other_labels_stay,
    /// A fingerprint changes with the shape, and with nothing else.
    FingerprintIsTheShape: describes::fingerprint_is_the_shape,
    /// An instance that was powered off is off.
    PoweredOffIsOff: describes::powered_off_is_off,

    /// Bytes are read as they are, up to the very end and no further.
    BytesAreRead: bytes::bytes_are_read,
    /// Bytes are written where they belong.
    BytesAreWritten: bytes::bytes_are_written,
    /// Extents leave out nothing but zeros.
    ExtentsHoldAll: bytes::extents_hold_all,
    /// Nobody writes to a snapshot.
    SnapshotsAreReadOnly: bytes::snapshots_are_read_only,

    /// A snapshot stays as it was when it was taken.
    SnapshotStays: snapshots::snapshot_stays,
    /// A new volume has the snapshot's bytes, and zeros behind.
    VolumeFromSnapshot: snapshots::volume_from_snapshot,
    /// A revert gives the volume the snapshot's bytes.
    RevertGivesBytes: snapshots::revert_gives_bytes,
    /// A snapshot's instant lies between its submit and its end.
    TakenAtIsTrue: snapshots::taken_at_is_true,
    /// A snapshot of several volumes has each of them once, in order.
    PartsAreInOrder: snapshots::parts_are_in_order,
    /// A group that is promised to be of one instant is.
    GroupIsOfOneInstant: snapshots::group_is_of_one_instant,
    /// Nothing but a freeze or power off makes a snapshot better than crash consistent.
    ConsistencyIsEarned: snapshots::consistency_is_earned,

    /// A freeze ends by itself when its time is over.
    FreezeEnds: freezes::freeze_ends,
    /// An instance that is not frozen is thawed with success.
    ThawingTheThawed: freezes::thawing_the_thawed,
    /// A snapshot that freezes by itself thaws, however it ends.
    QuiesceThaws: freezes::quiesce_thaws,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tries a rule in a runtime of its own, on virtual time where the bed wants it.
///
/// # Errors
///
/// How the rule was broken.
///
/// # Panics
///
/// Where no runtime can be made, or the bed cannot set something up.
pub fn run<B: TestBed>(rule: Rule, bed: impl Future<Output = B>) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bed = bed.await;
        if bed.time_is_virtual() {
            tokio::time::pause();
        }
        rule.check(&bed).await
    })
}

/// [Tries](run) a rule as a test.
///
/// # Panics
///
/// Where it is broken.
pub fn run_test<B: TestBed>(rule: Rule, bed: impl Future<Output = B>) {
    match run(rule, bed) {
        Ok(Held::Kept) => {}
        Ok(Held::NotPromised(why)) => println!("{rule}: not promised: {why}"),
        Err(breach) => panic!("{rule}: {breach}"),
    }
}
