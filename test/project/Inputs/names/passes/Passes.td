def MoeFuseGather : Pass<"moe-fuse-gather", "func::FuncOp"> {}
def MoeLift : Pass<"moe-lift", "func::FuncOp"> {}
def MoePair : Pass<"moe-pair", "func::FuncOp"> {}
def Other : Pass<"other", "func::FuncOp"> {}
