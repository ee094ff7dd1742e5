"""What the benchmarks share: clocks, shapes, the machine they ran on, the layers they compare."""
