//! Who is asking.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Extra, OrgId, UserId};

/// The organisation, user and roles behind a request: value of the table `control.principals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Principal {
    /// The tenant.
    pub org_id: OrgId,
    /// The person or program.
    pub user_id: UserId,
    /// What they may do: `viewer`, `operator`, `admin`, `owner`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
