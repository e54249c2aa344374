// RUN: moe-opt --moe-lift %s
