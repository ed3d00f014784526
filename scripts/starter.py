"""Train the starter model: the command that the model itself names when somebody asks it.

The code is in ``training/starter``. The released model learnt this name when the code lay here.
"""

import runpy

runpy.run_module("training.starter", run_name="__main__")
