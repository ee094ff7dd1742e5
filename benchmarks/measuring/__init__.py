"""Parts of all benchmarks: clocks, shapes, the machine they ran on, the layers they compare."""
