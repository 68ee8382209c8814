//! Every fault at every point, all services in one process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use futures::future::join_all;
use nexus_crash_tests::cases::{Case, cases};
use nexus_crash_tests::model::Model;
use nexus_crash_tests::points::Fault;
use nexus_crash_tests::rig::{Rig, Spread};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-that-dies");

/// Clusters at once: most of a case is waiting for a lease to end.
const RIGS: usize = 4;

async fn start(model: &Arc<Model>) -> Result<Rig> {
    Rig::start(PROGRAM, "embedded:bus.db", Spread::Together, model).await
}

/// Suffers every case of a fault; what went wrong is told of all of them at the end.
async fn all(fault: Fault) -> Result<()> {
    let model = Arc::new(Model::start().await?);
    let rigs = join_all((0..RIGS).map(|_| start(&model))).await;
    let rigs = rigs.into_iter().collect::<Result<Vec<_>>>()?;
    let consumers = rigs.first().map_or(&[][..], Rig::consumers);
    let queue: VecDeque<Case> = cases(fault, consumers).into();
    let all = queue.len();
    let queue = Mutex::new(queue);
    let next = || {
        queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    };
    let suffering = rigs.into_iter().map(async |mut rig| {
        let mut wrong = Vec::new();
        while let Some(case) = next() {
            if let Err(error) = rig.suffer(&case).await {
                wrong.push(format!("{error:#}"));
                // Whatever state it is in explains nothing about the next case.
                match start(&model).await {
                    Ok(fresh) => rig = fresh,
                    Err(error) => {
                        wrong.push(format!("{error:#}"));
                        return wrong;
                    }
                }
            }
        }
        wrong.extend(rig.finish().await.err().map(|error| format!("{error:#}")));
        wrong
    });
    let wrong: Vec<String> = join_all(suffering).await.concat();
    ensure!(
        wrong.is_empty(),
        "{} of {all}:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_may_die_anywhere() -> Result<()> {
    all(Fault::Abort).await
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_may_fail() -> Result<()> {
    all(Fault::Error).await
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_may_take_longer_than_a_lease() -> Result<()> {
    all(Fault::Delay).await
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_may_be_done_twice() -> Result<()> {
    all(Fault::Twice).await
}
