//! The fuel that each WebAssembly operator costs.
//!
//! Most operators cost one unit and take a fifth of a nanosecond. The operators below take so much longer that a guest
//! could occupy its worker for many times as long as its fuel should last. A loop of `memory.grow` by zero pages took 160
//! times as long. Each operator was measured in a loop, and its price follows its time, so that none takes more than
//! about five times as long as its fuel. Measure again after an update of wasmtime.
//!
//! A change of a price changes the fuel of recorded calls, so replays of them would differ.

use wasmtime::OperatorCost;

/// A library call that locks or allocates: 25 to 50 ns.
const SLOW_CALL: u8 = 200;
/// A library call: 5 to 10 ns.
const CALL: u8 = 40;
/// A square root of floats, scalar or vector.
const ROOT: u8 = 12;
/// A division of floats, scalar or vector.
const FLOAT_DIVISION: u8 = 8;
/// A division of integers, a rounding of floats, or a vector operation that handles each float separately.
const DIVISION: u8 = 5;

/// Returns the price of each operator.
pub(crate) fn prices() -> OperatorCost {
    let mut price = OperatorCost::new();

    price.MemoryGrow = SLOW_CALL;
    price.TableGrow = SLOW_CALL;
    price.RefFunc = SLOW_CALL;
    price.MemoryFill = CALL;
    price.TableInit = CALL;
    price.ElemDrop = CALL;
    // The kernel maps a page and zeroes it at the first access. That takes longer than the highest possible price, but
    // the memory limit allows a call only some hundreds of pages.
    price.variable.memory_grow_per_page = u8::MAX;
    // Each element is read, checked and written separately.
    price.variable.table_copy_per_element = 5;
    price.variable.table_init_per_element = 5;
    price.variable.table_fill_per_element = 2;
    price.variable.table_grow_per_element = 5;

    price.I32DivS = DIVISION;
    price.I32DivU = DIVISION;
    price.I32RemS = DIVISION;
    price.I32RemU = DIVISION;
    price.I64DivS = DIVISION;
    price.I64DivU = DIVISION;
    price.I64RemS = DIVISION;
    price.I64RemU = DIVISION;

    price.F32Sqrt = ROOT;
    price.F64Sqrt = ROOT;
    price.F32x4Sqrt = ROOT;
    price.F64x2Sqrt = ROOT;
    price.F32Div = FLOAT_DIVISION;
    price.F64Div = FLOAT_DIVISION;
    price.F32x4Div = FLOAT_DIVISION;
    price.F64x2Div = FLOAT_DIVISION;

    price.F32Ceil = DIVISION;
    price.F32Floor = DIVISION;
    price.F32Trunc = DIVISION;
    price.F32Nearest = DIVISION;
    price.F64Ceil = DIVISION;
    price.F64Floor = DIVISION;
    price.F64Trunc = DIVISION;
    price.F64Nearest = DIVISION;
    price.F32x4Ceil = DIVISION;
    price.F32x4Floor = DIVISION;
    price.F32x4Trunc = DIVISION;
    price.F32x4Nearest = DIVISION;
    price.F64x2Ceil = DIVISION;
    price.F64x2Floor = DIVISION;
    price.F64x2Trunc = DIVISION;
    price.F64x2Nearest = DIVISION;
    price.F32x4Min = DIVISION;
    price.F32x4Max = DIVISION;
    price.F64x2Min = DIVISION;
    price.F64x2Max = DIVISION;
    price.I32x4TruncSatF32x4S = DIVISION;
    price.I32x4TruncSatF32x4U = DIVISION;
    price.I32x4TruncSatF64x2SZero = DIVISION;
    price.I32x4TruncSatF64x2UZero = DIVISION;

    price
}
