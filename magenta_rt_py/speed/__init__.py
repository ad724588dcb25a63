"""How fast the model is, and how far from what the machine allows: `mrtpy bench model` and the programs in benchmarks/."""
