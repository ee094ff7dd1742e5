"""The Tokenformer as a Nanotron model. `config` and `flops` are pure; the other modules need a bootstrapped Nanotron."""
