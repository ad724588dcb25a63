"""How many processor cores a compiled program uses.

XLA splits each matrix product over all cores and waits for the slowest. With a narrow model the pieces are so small that
this gains nothing, and on a machine that also draws a page or plays sound, every product waits until the other core is
free again. Measured with the starter on two cores: as quick alone, and twice as quick beside a browser.
"""

ONE_CORE = {"xla_cpu_multi_thread_eigen": False}
"""`compiler_options` of `jax.jit` for narrow models; means nothing on other backends than the CPU."""
NARROW_DIM = 384
"""Up to this width a model runs on one core. Ours; the starter is 256 wide, the released models 768 and more."""
