"""Eval suites: one folder per task, each with its tests, its data and the checks that only it needs."""
