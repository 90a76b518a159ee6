//! Against what a real cloud was heard to say: see `testdata/README.md`. The cloud itself is in
//! the test `lab`; here is what it says too seldom, and what must be quick.

mod bed;
mod freezing;
mod groups;
mod images;
mod instances;
mod login;
mod moving;
mod server;
mod servers;
mod volumes;
