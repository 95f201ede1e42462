"""The experiment's baselines: the same wire format and model served by Python alone.

`single` is one process, `multiprocessing` several behind a ROUTER. They are real services, to be measured
against the daemon; they have no admission, fairness or memory budget.
"""
