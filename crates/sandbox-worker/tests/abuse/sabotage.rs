//! With a guard missing, the self-test refuses to serve and the suite's own cases fail.

use nexus_sandbox::{Job, Sandbox, SandboxError, self_test};

use crate::{
    case::survive,
    table,
    world::{World, adopt_orphans, backend, reachable, sabotaged, settings},
};

/// Runs these cases without the guard and gives those that were survived, of which there should be none.
async fn unnoticed(guard: &str, python: bool, numbers: &[u8]) -> Vec<u8> {
    adopt_orphans();
    let mut survived = Vec::new();
    for case in table().iter().filter(|case| numbers.contains(&case.number)) {
        // A world each: what an attack that succeeded leaves is not the next one's fault.
        let world = World::without(guard, python);
        if survive(&world, case).await.is_ok() {
            survived.push(case.number);
        }
        world.gone().await.unwrap();
    }
    survived
}

#[tokio::test]
async fn without_seccomp_cases_of_monty_fail() {
    assert_eq!(
        unnoticed("seccomp", false, &[1, 2, 8, 16, 24, 25, 28, 29, 30]).await,
        [0_u8; 0]
    );
}

#[tokio::test]
async fn without_seccomp_cases_of_python_fail() {
    assert_eq!(
        unnoticed("seccomp", true, &[25, 27, 28, 29, 31]).await,
        [0_u8; 0]
    );
}

#[tokio::test]
async fn without_the_memory_limit_its_case_fails() {
    assert_eq!(unnoticed("memory", false, &[4]).await, [0_u8; 0]);
}

#[tokio::test]
async fn with_an_inherited_environment_its_case_fails() {
    // Nobody but root can look into the worker, and its code cannot ask: only from outside is it seen.
    if rustix::process::geteuid().is_root() {
        assert_eq!(unnoticed("environment", false, &[18]).await, [0_u8; 0]);
    }
    assert_eq!(unnoticed("environment", true, &[18]).await, [0_u8; 0]);
}

#[tokio::test]
async fn the_self_test_notices_and_every_call_is_refused() {
    for (guard, python, named) in [
        ("seccomp", false, "Socket"),
        ("seccomp", true, "no network"),
        ("environment", true, "environment"),
    ] {
        let (_folder, settings) = settings(python, &sabotaged(guard));
        let sandbox = Sandbox::start(settings).await;
        assert!(!sandbox.health().ready, "without {guard} it served");
        let refusal = sandbox.run(Job::new("1")).await.unwrap_err();
        assert!(
            matches!(refusal, SandboxError::SelfTest { .. }),
            "{refusal:?}"
        );
        assert!(refusal.to_string().contains(named), "{refusal}");
    }
}

#[tokio::test]
async fn a_missing_program_is_a_failed_self_test() {
    let report = self_test("/nonexistent/nexus-sandbox".as_ref(), &backend(false)).await;
    assert!(
        !report.passed() && report.failures().contains("/nonexistent/nexus-sandbox"),
        "{report:?}"
    );
    let (_folder, wrong) = reachable("/bin/true".as_ref());
    let report = self_test(&wrong, &backend(false)).await;
    assert!(!report.passed(), "{report:?}");
}

#[test]
fn the_production_program_knows_no_way_to_leave_a_guard_out() {
    let program = std::fs::read(crate::world::worker()).unwrap();
    let holds = |word: &[u8]| program.windows(word.len()).any(|part| part == word);
    assert!(holds(b"the environment is not empty"), "it is the worker");
    assert!(!holds(b"NEXUS_CANARY"));
}
