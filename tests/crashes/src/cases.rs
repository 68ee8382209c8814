//! Every point with every fault it knows.

use nexus_contracts::channels;

use crate::points::{ELSEWHERE, Fault, LOOP, POINTS, Way};

/// One fault at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The point.
    pub point: String,
    /// What goes wrong there.
    pub fault: Fault,
    /// How it is reached.
    pub way: Way,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.fault.name(), self.point)
    }
}

impl Case {
    /// The service the point is in.
    #[must_use]
    pub fn service(&self) -> &str {
        let name = self.point.strip_prefix("consume:").unwrap_or(&self.point);
        name.split(['.', ':']).next().unwrap_or(name)
    }
}

/// All cases of a fault, given the consume loops there are, as `<group>:<channel>`.
#[must_use]
pub fn cases(fault: Fault, consumers: &[String]) -> Vec<Case> {
    let passed = consumers.iter().filter(|consumer| {
        let channel = consumer.split(':').nth(1);
        channel.is_none_or(|channel| !ELSEWHERE.contains(&channel))
    });
    let loops = passed.flat_map(|consumer| {
        let way = if consumer.ends_with(channels::CONVERSATIONS) {
            Way::Deletion
        } else {
            Way::Plain
        };
        LOOP.iter().map(move |point| {
            let name = format!("consume:{consumer}:{}", point.name);
            (name, point.faults, way)
        })
    });
    let services = POINTS
        .iter()
        .map(|point| (point.name.to_owned(), point.faults, point.way));
    let all = services.chain(loops);
    all.filter(|(_, faults, _)| faults.contains(&fault))
        .map(|(point, _, way)| Case { point, fault, way })
        .collect()
}
