"""`python -m magenta_rt_py` is `mrtpy`."""

import sys

from magenta_rt_py.cli.program import main

sys.exit(main())
