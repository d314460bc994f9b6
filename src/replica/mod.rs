//! One exporter: wires settings, sharding, intake, collectors, store and servers together. Used by `run` and by `demo`.
