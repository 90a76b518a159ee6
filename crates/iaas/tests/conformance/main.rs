//! Every personality of the simulated cloud keeps every rule.

mod proxy;

use stillpoint_iaas::conformance::SimBed;
use stillpoint_iaas::conformance_tests;
use stillpoint_iaas::sim::Personality;

mod declarative {
    super::conformance_tests!(super::SimBed::new(super::Personality::Declarative));
}

mod files {
    super::conformance_tests!(super::SimBed::new(super::Personality::Files));
}

mod in_process {
    super::conformance_tests!(super::SimBed::new(super::Personality::InProcess));
}

mod process {
    super::conformance_tests!(super::SimBed::new(super::Personality::Process));
}

mod rest {
    super::conformance_tests!(super::SimBed::new(super::Personality::Rest));
}
