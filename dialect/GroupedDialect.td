// The grouped dialect itself, and how it represents what level 1 says.
#ifndef MOE_GROUPED_DIALECT_TD
#define MOE_GROUPED_DIALECT_TD

include "dialect/MoeDialect.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Grouped_Dialect : Dialect {
  let name = "grouped";
  let cppNamespace = "::moe::grouped";
  let summary = "Rows of tokens in ragged groups.";
  let description = [{
    A routing is now plain tensors: `ids` [T, k] (expert of every slot, -1 when empty) and `weights` [T, k] (0 when empty). A routing
    `top k` has k slots, in order of choice; any other has k = E, and slot e holds expert e or is empty. A *plan* orders the
    slots by expert (a stable counting sort): grouped rows are the filled slots, experts ascending, tokens ascending
    inside an expert. A dense `linear` is a `grouped.matmul` with one group.

    T is the number of tokens, k of slots a token, E of experts, R of grouped rows (filled slots), N and K of outputs and inputs of
    a weight. The conventions of the `moe` dialect hold.

    How the routings of level 1 are made and edited here:

    | level 1 | level 2 |
    |---|---|
    | `route ... top k` without groups | `grouped.top_k` |
    | `route`, all else that chooses by rows | `grouped.select` |
    | `route ... take` | `grouped.take` |
    | `assign`, `limit`, `join` | `grouped.assign`, `grouped.limit`, `grouped.join` |
    | `lookup` | `grouped.check_ids` of the table, `moe.gather` of its rows, weights by `grouped.pick` of the scores |
    | `from_indices` | `grouped.check_ids`, and weights of empty slots set to 0 by `moe.map` |
    | `keep` | mask per slot (per expert and pair: `grouped.pick`), then `moe.map` over ids, weights and mask |
    | `scale` by expert | `grouped.pick` of the factors, `arith.mulf` |
    | `to_matrix`, `importance` | `grouped.matrix`, and `moe.reduce sum ... over 0` |
    | `pairs` | `grouped.plan`, and `moe.gather` of the flat weights and ids at its slots |
    | `balance_loss` | `grouped.balance_loss` |

    `random`, `rope`, `rope_frequencies`, `attention`, `tokens`, `segment_size`, `capacity`, `z_loss`, `cv_squared` and `noisy_load` know
    nothing of routings and stay as they are.
  }];
  // Level 2 keeps ops of level 1, and passes over it make more of them.
  let dependentDialects = ["::moe::MoeDialect"];
  let useDefaultTypePrinterParser = 1;
}

class Grouped_Op<string mnemonic, list<Trait> traits = []> : Op<Grouped_Dialect, mnemonic, traits>;

#endif // MOE_GROUPED_DIALECT_TD
