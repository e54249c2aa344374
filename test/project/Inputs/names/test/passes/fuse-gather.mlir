// RUN: moe-opt --moe-fuse-gather %s
func.func @not_a_gather() { return }
