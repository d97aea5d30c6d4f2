//! Plugins of an economy: installations, grants, budgets and schedules.

pub(crate) mod account_pattern;
pub(crate) mod budget;
pub(crate) mod grants;
pub(crate) mod installation;
pub(crate) mod schedule;
pub(crate) mod switch_off;
