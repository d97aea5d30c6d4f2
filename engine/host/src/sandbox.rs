//! The setup of wasmtime: the engine, the imports of a guest, and the limits of a store.
//!
//! The settings are explained in <https://docs.rs/wasmtime/latest/wasmtime/struct.Config.html>.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result, Store,
};

use crate::limits::{
    DEADLINES_AFTER_DRAW, HANDLES_MAX, INSTANCE_BYTES_MAX, INSTANCES_MAX, Limits, MEMORIES_MAX,
    STACK_BYTES, TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use crate::run::bindings::Plugin;
use crate::run::bindings::v0_1::bursar::plugin as v0_1;
use crate::run::fuel_prices::prices;
use crate::run::guest::Guest;

/// Bytes of each memory and table that stay mapped between calls.
///
/// Zeroing a mapped page is cheaper than a page fault: a call takes 11 µs instead of 40 (measured).
const KEEP_BYTES: usize = 2 * 1024 * 1024;

/// Creates the engine. A process has one, because a component compiled by one engine cannot run in another.
pub(crate) fn engine(limits: &Limits) -> Result<Engine> {
    let mut config = Config::new();
    config
        // Fuel is deterministic: a call uses the same amount in each run. The epoch deadline only catches what fuel
        // does not see, such as a slow host function or a busy machine.
        .consume_fuel(true)
        .operator_cost(prices())
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        // A replay must get the same bits on each machine. NaN payloads and relaxed SIMD differ between processors.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        // Features that no plugin needs are off, because each is code of the engine that a guest could attack.
        // Multiple memories stay on: adapters of interpreters use them, and compiling such a component without
        // them panics.
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    Engine::new(&config)
}

/// Returns the limits of the pooling allocator.
///
/// The pool reserves the slots of all instances at start. Instantiating a component then takes microseconds, and the
/// number of instances is bounded.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count(limits.slots))
        .total_core_instances(count(limits.slots * INSTANCES_MAX))
        .total_memories(count(limits.slots * MEMORIES_MAX))
        .total_tables(count(limits.slots * TABLES_MAX))
        .max_core_instances_per_component(count(INSTANCES_MAX))
        .max_memories_per_component(count(MEMORIES_MAX))
        .max_tables_per_component(count(TABLES_MAX))
        .max_tables_per_module(count(TABLES_MAX))
        .max_memory_size(limits.memory_bytes)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_component_instance_size(INSTANCE_BYTES_MAX)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .linear_memory_keep_resident(KEEP_BYTES)
        .table_keep_resident(KEEP_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Returns a linker with everything that a guest can import: the interfaces of each version of the contract.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    // Version 0.1.0 shares `types` with 0.2.0, and adding that interface twice is an error. So its interfaces are added
    // one by one.
    v0_1::ledger::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    v0_1::state::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    v0_1::fair::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    v0_1::call::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    v0_1::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    Ok(linker)
}

/// Creates a store with all limits set before the guest runs.
pub(crate) fn new_store(engine: &Engine, guest: Guest, limits: &Limits) -> Result<Store<Guest>> {
    let mut store = Store::new(engine, guest);
    // wasmtime consults the limiter already while it instantiates a component, so it is set first. It traps where the
    // pool's limits alone would let `memory.grow` return -1. See `Store::limiter` and `StoreLimitsBuilder`.
    store.limiter(|guest| &mut guest.limits);
    store.set_fuel(limits.fuel)?;
    // The ticker increments the epoch. At the deadline the callback either traps the guest or extends the deadline once.
    let ticks = limits.deadline_ticks();
    store.set_epoch_deadline(ticks);
    let after_draw = ticks.saturating_mul(DEADLINES_AFTER_DRAW);
    store.epoch_deadline_callback(move |mut store| Ok(store.data_mut().on_deadline(after_draw)));
    // Lifting a list or a string allocates memory of the host before the host function can check its length. This limits
    // the bytes of one such copy. See `Store::set_hostcall_fuel`.
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(HANDLES_MAX);
    Ok(store)
}
