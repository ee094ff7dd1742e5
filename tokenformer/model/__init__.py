"""The Tokenformer as a Nanotron model. `config` and `flops` are pure; the others need a bootstrapped Nanotron."""
