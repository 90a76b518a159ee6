//! The rules that every provider keeps, as a kit to run against any of them.
//!
//! ```
//! # #[cfg(test)]
//! mod rest {
//!     use stillpoint_iaas::conformance::SimBed;
//!     use stillpoint_iaas::sim::Personality;
//!
//!     stillpoint_iaas::conformance_tests!(SimBed::new(Personality::Rest));
//! }
//!
//! // One rule can be tried by hand as well.
//! use stillpoint_iaas::conformance::{Held, Rule, SimBed, run};
//! use stillpoint_iaas::sim::Personality;
//!
//! let verdict = run(Rule::TwinsAreTold, async { SimBed::new(Personality::Rest) });
//! assert_eq!(verdict.unwrap(), Held::Kept);
//! let verdict = run(Rule::TwinsAreTold, async { SimBed::new(Personality::Files) });
//! assert!(matches!(verdict.unwrap(), Held::NotPromised(_)));
//! ```
//!
//! # What it does not do
//!
//! It says nothing of speed, and nothing of what only the system below can break (a disk that
//! lies about a flush). A rule that a provider's capabilities do not promise is not tried:
//! [`Held::NotPromised`] says so.
//!
//! # Testing your provider
//!
//! Write a [`TestBed`]: it makes clients, kills them, puts instances and volumes there by a way
//! other than the provider under test, and lists all there is by that other way. Then
//! [`conformance_tests!`](crate::conformance_tests) makes a `#[test]` of each [`Rule`].
//!
//! # Disturbing your provider
//!
//! [`Faulty`] stands in front of any provider and loses replies, delays effects, answers 429 and
//! stalls.

mod bed;
mod breach;
mod faulty;
mod rule;
mod rules;
mod sim_bed;
mod trial;

pub use self::bed::TestBed;
pub use self::breach::{Breach, Held, Verdict};
pub use self::faulty::{Faulty, Trouble};
pub use self::rule::{Rule, run, run_test};
pub use self::sim_bed::SimBed;
