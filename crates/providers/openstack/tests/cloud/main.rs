//! Against a real cloud, which `lab/up.sh` starts: keystone, nova, cinder, glance.

mod bed;
mod hand;
mod jobs;
mod kit;
mod stock;
mod things;
