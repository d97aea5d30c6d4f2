//! How wasmtime is set up: one engine for the process, and what a guest can reach.

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result,
};

use crate::limits::{
    INSTANCE_BYTES_MAX, INSTANCES_MAX, Limits, MEMORIES_MAX, SLOTS, STACK_BYTES,
    TABLE_ELEMENTS_MAX, TABLES_MAX,
};
use crate::run::bindings::Plugin;
use crate::run::bindings::first::bursar::plugin as first;
use crate::run::fuel_prices::prices;
use crate::run::guest::Guest;

/// Bytes of each memory and table that stay mapped between calls. Resetting a page that is there
/// costs less than fetching a new one: 11 µs a call instead of 40 were measured.
const KEEP_BYTES: usize = 2 * 1024 * 1024;

/// The engine. There is one in a process: types of one engine mean nothing in another.
pub(crate) fn engine(limits: &Limits) -> Result<Engine> {
    let mut config = Config::new();
    config
        // Fuel is the rule, the same in every run; epochs are the safety net.
        .consume_fuel(true)
        .operator_cost(prices())
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        // The same bits on every machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        // What no guest needs, no guest gets. Multiple memories stay on: adapters of interpreters
        // use them, and compiling such a component without them panics.
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    Engine::new(&config)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count(SLOTS))
        .total_core_instances(count(SLOTS * INSTANCES_MAX))
        .total_memories(count(SLOTS * MEMORIES_MAX))
        .total_tables(count(SLOTS * TABLES_MAX))
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

/// Everything that a guest can import: our interfaces in each version of the contract, and nothing else.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    // One by one: the types of the first version are those of the present one, and are in there already.
    first::ledger::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    first::state::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    first::fair::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    first::call::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    first::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)?;
    Ok(linker)
}
