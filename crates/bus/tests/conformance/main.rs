//! What every bus must do, whichever it is: one list of properties, run on all three against real
//! servers. A test is called `<backend>::<property>`.

#[macro_use]
mod list;
mod content;
mod delivery;
mod faults;
mod harness;
mod leases;
mod live;
mod log;
mod member;
mod process;
mod readers;
mod servers;
mod tables;
mod watches;

// The list. A property that cannot exist on a backend says so here, with the reason.
properties! {
    // Channels: who gets what, in which order.
    delivery::order;
    delivery::groups;
    delivery::competing_consumers;
    delivery::reads_no_more_than_asked;
    delivery::acknowledged_is_gone;
    delivery::outgoing_is_stored;
    delivery::retry;
    delivery::delayed_retry;
    delivery::waiting_does_not_count;
    delivery::dead;
    delivery::a_retry_holds_nobody_up;
    delivery::publishing_twice_stores_twice;

    // Readers that wait.
    readers::a_waiting_reader_blocks_nobody;
    readers::an_idle_reader_hears_at_once;
    readers::a_cancelled_read_loses_nothing;
    readers::slow_reader;

    // Leases: consumers that die, hang, or take long.
    leases::reclaim_after_kill;
    leases::reclaim_of_many;
    leases::heartbeat;
    leases::a_lost_lease_is_told;
    leases::poison;

    // The log behind the groups.
    log::replay_by_id;
    log::replay_by_time;
    log::trim_keeps_what_is_not_settled;
    log::trim_keeps_what_is_delayed;
    log::trim_drops_what_is;
    log::backlog;
    log::backlog_age;
    log::channels;
    log::incarnation;

    // What it carries.
    content::large_envelope;
    content::large_dead_letter;
    content::missing_id;
    content::binary;
    content::unicode;
    content::dead_letter_keeps_everything;

    // Servers that stop, forget, or are full.
    faults::flush;
    faults::memory_full;
    faults::restart;
    faults::reconnect,
        not on embedded: "there is no connection: the file is part of the process";
    faults::a_delay_survives_a_restart;
    faults::info;

    // Tables.
    tables::put_and_get;
    tables::compare_and_set;
    tables::one_of_many_wins;
    tables::any_key;
    tables::table_survives_a_restart;
    watches::watch;
    watches::every_watcher_hears;
    watches::watch_of_nothing;
    watches::a_flushed_table_is_a_new_one;
    watches::watch_across_a_reconnect,
        not on embedded: "there is no connection: a watcher lives in the owner's process";

    // Live streams.
    live::live_order;
    live::live_resume;
    live::live_gap_then_snapshot;
    live::slow_subscriber;
    live::a_stream_that_began_again;
    live::many_topics;
}
