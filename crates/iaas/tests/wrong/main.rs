//! Providers that are wrong in one thing each, to show that each rule can fail: a wrong provider
//! breaks its own rule and no other.

mod bed;
mod bytes;
mod flaw;
mod provider;

use std::collections::BTreeSet;

use stillpoint_iaas::conformance::{Rule, run};
use stillpoint_iaas::sim::Personality;

use crate::bed::WrongBed;
use crate::flaw::Flaw;

macro_rules! wrong_providers {
    ($($flaw:ident as $test:ident on $personality:ident breaks $rule:ident;)+) => {
        /// Which rule each of them breaks.
        const TABLE: &[(Flaw, Personality, Rule)] = &[
            $((Flaw::$flaw, Personality::$personality, Rule::$rule),)+
        ];

        $(
            #[test]
            fn $test() {
                breaks_only(Flaw::$flaw, Personality::$personality, Rule::$rule);
            }
        )+
    };
}

wrong_providers! {
    AbsentForEver as it_remembers_that_something_was_absent on Rest breaks LateIsFound;
    CancelDeletes as it_deletes_what_is_cancelled_too_late on InProcess breaks CancelIsNoUndo;
    CancelMisses as it_cannot_cancel_what_it_does_not_know on Rest breaks CancelOfNothing;
    CascadesToSnapshots as it_deletes_snapshots_with_their_volume on Declarative breaks SnapshotOutlivesItsVolume;
    CascadesToVolumes as it_deletes_volumes_with_their_instance on Rest breaks VolumesOutliveTheirInstance;
    ClaimsAtomicGroups as it_takes_a_group_one_by_one on Rest breaks GroupIsOfOneInstant;
    ClaimsConsistency as it_claims_more_consistency on InProcess breaks ConsistencyIsEarned;
    ClaimsImages as it_claims_what_it_cannot on Process breaks SupportedIsDone;
    DeletesByForce as it_deletes_what_is_attached on Declarative breaks AttachedIsKept;
    DeletesSiblings as it_deletes_all_snapshots_of_a_volume on Rest breaks DeletesOnlyThat;
    FailsTheUnasked as it_says_failed_for_absent on Declarative breaks NeverAskedIsAbsent;
    FingerprintsNothing as its_fingerprints_never_change on Files breaks FingerprintIsTheShape;
    FingerprintsPower as its_fingerprints_change_with_power on Rest breaks FingerprintIsTheShape;
    FirstPageOnly as it_lists_one_page on Rest breaks ListIsWhole;
    ForgetsOnRestart as it_knows_its_own_snapshots_only on Declarative breaks KeyAloneIsEnough;
    FreezesForLong as it_freezes_longer_than_asked on InProcess breaks FreezeEnds;
    HidesRunning as it_finds_only_what_is_over on Declarative breaks RunningIsSeen;
    HidesTwins as it_does_not_tell_of_twins on Rest breaks TwinsAreTold;
    HidesWhatIsLeft as it_does_not_tell_what_is_left on Rest breaks CancelNamesWhatIsLeft;
    IgnoresLabels as it_ignores_the_labels_of_a_filter on Declarative breaks FiltersAreKept;
    LabelsTheSource as it_marks_what_it_takes_a_snapshot_of on Declarative breaks ForeignIsUntouched;
    LeavesLitter as it_makes_first_and_checks_then on Rest breaks RefusedIsUntouched;
    LimitsBelow as it_refuses_below_its_limits on Declarative breaks LimitsAreTrue;
    LooksAgainAtOnce as it_wants_to_be_asked_at_once on Rest breaks LooksAgainLater;
    MarksTooLate as it_writes_the_key_after_the_effect on Declarative breaks CutOffIsFound;
    MatchesByName as it_adopts_by_name on Declarative breaks SameNameIsNotSameKey;
    MissesTheGone as it_cannot_delete_what_is_gone on Rest breaks DeletingTheGone;
    NewObjectEachTime as it_makes_another_one_each_time on Declarative breaks SecondSubmitIsTheSame;
    OnForEver as it_shows_what_is_off_as_on on Rest breaks PoweredOffIsOff;
    PadsReads as it_reads_past_the_end on Files breaks BytesAreRead;
    ProgressGoesBack as its_progress_goes_back on InProcess breaks ProgressGoesOn;
    ReadsLive as its_snapshots_are_the_volume on InProcess breaks SnapshotStays;
    ReplacesLabels as it_replaces_all_labels on Declarative breaks OtherLabelsStay;
    ReversesParts as it_mixes_up_the_parts on InProcess breaks PartsAreInOrder;
    RevertsNothing as it_reverts_nothing on Files breaks RevertGivesBytes;
    SkipsAnExtent as it_leaves_out_an_extent on Files breaks ExtentsHoldAll;
    StaysFrozen as it_stays_frozen_after_a_snapshot on Declarative breaks QuiesceThaws;
    SwallowsWrites as it_pretends_to_write_to_snapshots on Rest breaks SnapshotsAreReadOnly;
    TakenLongAgo as it_takes_the_epoch_for_now on Process breaks TakenAtIsTrue;
    ThawsOnlyFrozen as it_cannot_thaw_what_is_not_frozen on Declarative breaks ThawingTheThawed;
    TruncatesLabels as it_cuts_labels_off on Process breaks NamesAreKept;
    VolumesAreEmpty as it_makes_empty_volumes on Rest breaks VolumeFromSnapshot;
    WordsItsOwnErrors as it_has_its_own_kind_for_unsupported on Rest breaks UnsupportedIsTyped;
    WordsItsOwnMissing as it_has_its_own_kind_for_missing on Process breaks MissingIsNotFound;
    WritesToSectors as it_writes_to_the_start_of_a_sector on InProcess breaks BytesAreWritten;
}

fn breaks_only(flaw: Flaw, personality: Personality, rule: Rule) {
    let mut broken = Vec::new();
    for &tried in Rule::ALL {
        if let Err(breach) = run(tried, async { WrongBed::new(personality, flaw) }) {
            broken.push((tried, breach.to_string()));
        }
    }
    let names: Vec<_> = broken.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(names, [rule], "{flaw:?} on {personality}: {broken:#?}");
    println!("{flaw:?} on {personality} breaks {rule}: {}", broken[0].1);
}

#[test]
fn every_rule_has_its_wrong_provider() {
    let broken: BTreeSet<_> = TABLE.iter().map(|(_, _, rule)| *rule).collect();
    let all: BTreeSet<_> = Rule::ALL.iter().copied().collect();
    assert_eq!(broken, all);
    println!("{} wrong providers for {} rules", TABLE.len(), all.len());
}
