import os

import hypothesis

# Test processes run side by side: threads of NaMaster's in each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# No deadlines: a busy machine is not a bug. The same examples everywhere: failures can be repeated.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")
