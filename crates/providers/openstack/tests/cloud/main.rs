//! Against a real cloud, which `lab/up.sh` starts: keystone, nova, cinder, glance.

mod bed;
mod counting;
mod faults;
mod freezing;
mod hand;
mod hypervisor;
mod jobs;
mod kit;
mod places;
mod pool;
mod stock;
mod things;
mod tokens;
