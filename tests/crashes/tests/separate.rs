//! Deaths over Redis, every service a process of its own: the others go on meanwhile.

use std::sync::Arc;

use anyhow::{Result, ensure};
use nexus_crash_tests::cases::cases;
use nexus_crash_tests::model::Model;
use nexus_crash_tests::points::Fault;
use nexus_crash_tests::rig::{Rig, Spread};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-that-dies");

#[tokio::test(flavor = "multi_thread")]
async fn any_process_may_die_at_any_point_of_its_service() -> Result<()> {
    let server = nexus_testkit::redis().await?;
    let model = Arc::new(Model::start().await?);
    let mut rig = Rig::start(PROGRAM, &server.url(), Spread::Apart, &model).await?;
    // The points of the consume loops are the embedded tests' business: they are the same here.
    let cases = cases(Fault::Abort, &[]);
    ensure!(!cases.is_empty());
    for case in cases {
        rig.suffer(&case).await?;
    }
    rig.finish().await
}
