//! The scripts: what must happen in one step on the server.

use std::sync::LazyLock;

use ::redis::Script;

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("lua/", $file))));
    };
}

script!(JOIN, "join.lua");
script!(DUE, "due.lua");
script!(DELAY, "delay.lua");
script!(RECLAIM, "reclaim.lua");
script!(TAKE, "take.lua");
script!(EXTEND, "extend.lua");
script!(MAINTAIN, "maintain.lua");
script!(TRIM, "trim.lua");
script!(BACKLOG, "backlog.lua");
script!(TABLE_WRITE, "table_write.lua");
script!(LIVE_PUBLISH, "live_publish.lua");
