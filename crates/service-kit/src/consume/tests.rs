mod batches;
mod poison;
mod rig;
mod settling;
mod stopping;
mod working;
