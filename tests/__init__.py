"""Tests, one folder a suite; `make` lists the suites."""
